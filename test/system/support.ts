/** What the whole-system tests share: requests under way, and looks at what a service has on disk. */
import { request as httpRequest } from 'node:http';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { RunningService } from '../harness/service.ts';
import { type Answer, head, send, TUS } from '../harness/tus.ts';

/** Headers of a PATCH at this offset. */
export function patchHeaders(offset: number): Record<string, string> {
  return { ...TUS, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
}

/** A PATCH whose body is handed over bit by bit. */
export interface OpenPatch {
  /** Sends some bytes; resolves when the socket has taken them. */
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
  /** Breaks the connection. */
  destroy(): void;
  /** The answer, or why there was none: never rejects. */
  readonly answer: Promise<Answer | Error>;
}

/**
 * Begins a PATCH on a connection of its own.
 *
 * @param length - bytes it announces; without it the body is chunked.
 */
export function openPatch(
  location: string,
  offset: number,
  length?: number,
  headers: Record<string, string> = {},
): OpenPatch {
  const request = httpRequest(location, {
    method: 'PATCH',
    agent: false,
    headers: {
      ...patchHeaders(offset),
      ...(length === undefined ? {} : { 'Content-Length': String(length) }),
      ...headers,
    },
  });
  request.flushHeaders();
  const answer = new Promise<Answer | Error>((resolve) => {
    request.on('error', resolve);
    request.on('response', (response) => {
      buffer(response).then(
        (body) => {
          const text = body.toString();
          const { error } = JSON.parse(text || '{}') as { error?: { code: string } };
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, code: error?.code });
        },
        (error: Error) => resolve(error),
      );
    });
  });
  return {
    write: (bytes) => new Promise((resolve) => request.write(bytes, () => resolve())),
    end: () => request.end(),
    destroy: () => request.destroy(),
    answer,
  };
}

/** The answer of a request that must have one. */
export async function answered(patch: OpenPatch): Promise<Answer> {
  const answer = await patch.answer;
  if (answer instanceof Error) throw answer;
  return answer;
}

/** Looks again and again until something is so: soon at first, then less often, as each look takes time of the service. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 5; !(await condition()); pauseMs = Math.min(pauseMs * 1.2, 40)) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await wait(pauseMs);
  }
}

/** The id in an upload's address. */
export function idOf(location: string): string {
  return location.slice(location.lastIndexOf('/') + 1);
}

/** Where the bytes of an unfinished upload are. */
export function unfinishedPath({ dataDir }: { dataDir: string }, location: string): string {
  return join(dataDir, 'files', `tmp_${idOf(location)}`);
}

/** Bytes the service has written of an unfinished upload, committed or not. */
export async function writtenBytes(service: RunningService, location: string): Promise<number> {
  return stat(unfinishedPath(service, location)).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Names in the folder of the store, but for the mark that says whose it is. */
export async function storedNames({ dataDir }: { dataDir: string }): Promise<string[]> {
  return (await readdir(join(dataDir, 'files'))).filter((name) => name !== '.tidemark-id');
}

/** The offset HEAD tells. */
export async function offsetOf(location: string): Promise<number> {
  const answer = await head(location);
  if (answer.status !== 200) throw new Error(`HEAD: ${answer.status}`);
  return Number(answer.headers['upload-offset']);
}

export interface ListedFile {
  id: string;
  name: string;
  size: number;
  url: string;
}

/** All files the service lists. */
export async function listFiles(service: Pick<RunningService, 'url'>): Promise<ListedFile[]> {
  const { body } = await send('GET', `${service.url}/api/files?limit=1000`);
  return (JSON.parse(body) as { files: ListedFile[] }).files;
}

/** Fetches an address and compares what it delivers. */
export async function expectBytes(url: string, bytes: Buffer): Promise<void> {
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  const found = Buffer.from(await answer.arrayBuffer());
  // Not toEqual: a difference would be printed byte by byte.
  expect(found.length).toBe(bytes.length);
  expect(found.equals(bytes)).toBe(true);
}
