/** What the tests of the HTTP edge share: files put there in one request, and raw sockets. */
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { RunningService } from '../harness/service.ts';
import { type Answer, encodeMetadata, send, TUS } from '../harness/tus.ts';

export interface Stored {
  fileId: string;
  url: string;
  /** Address of the upload it came with. */
  upload: string;
}

/** Uploads bytes in one request; fails unless they are published. */
export async function putFile(
  base: string,
  bytes: Uint8Array | string,
  metadata: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<Stored> {
  const answer = await send('POST', `${base}/uploads`, {
    headers: {
      ...TUS,
      'Upload-Length': String(Buffer.byteLength(bytes)),
      'Upload-Metadata': encodeMetadata(metadata),
      'Content-Type': 'application/offset+octet-stream',
      ...headers,
    },
    body: bytes,
  });
  const { location = '', 'tidemark-file-id': fileId, 'tidemark-file-url': url } = answer.headers;
  if (answer.status !== 201 || fileId === undefined)
    throw new Error(`POST /uploads: ${answer.status} ${answer.body}, no file ${String(fileId)}`);
  return { fileId: String(fileId), url: String(url), upload: location };
}

export function bearer(secret: string): Record<string, string> {
  return { Authorization: `Bearer ${secret}` };
}

export function json<T = Record<string, unknown>>(answer: Answer): T {
  return JSON.parse(answer.body) as T;
}

/** Names in the folder where a local service keeps bytes. */
export async function storedNames(service: RunningService): Promise<string[]> {
  return (await readdir(join(service.dataDir, 'files'))).toSorted();
}

/** A multipart body, from parts as `[header lines, content]`. */
export function multipart(boundary: string, parts: readonly (readonly [string, Uint8Array | string])[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(([head, content]) => [
      Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`),
      Buffer.from(content as Uint8Array),
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/** Headers of a part that holds a file. */
export function filePart(filename: string, field = 'file'): string {
  return `Content-Disposition: form-data; name="${field}"; filename="${filename}"\r\nContent-Type: application/octet-stream`;
}

/** Sends a form with these parts. */
export function sendForm(
  url: string,
  parts: readonly (readonly [string, Uint8Array | string])[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const boundary = 'tidemark-test-boundary';
  return send('POST', url, {
    headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, ...headers },
    body: multipart(boundary, parts),
  });
}

/** Writes raw bytes to a service and reads until it closes; for what no client library would send. */
export function raw(service: RunningService, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(answer);
    });
  });
}
