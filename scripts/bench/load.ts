/** The load: the same client for every server. It sends bodies from memory, all of them different. */
import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Target } from './targets.ts';

const MIB = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const TUS = { 'Tus-Resumable': '1.0.0' };
const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

/** All bodies are cut from this; a random head makes each one unique. */
const pool = randomBytes(64 * MIB);
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** The answer to the request with the last byte. */
export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  /** Milliseconds from the write of the last byte to the answer. */
  afterLastByteMs: number;
}

/** How a body is sent. */
export interface BodyOptions {
  /** Waits before the last byte, so that it is sent alone. */
  pauseBeforeLastMs?: number;
  /** The first bytes: bodies of one size with the same head are equal. By default they are random. */
  head?: Buffer;
}

/** Sends `size` bytes in one request. */
function send(
  method: string,
  url: string,
  headers: Record<string, string>,
  size: number,
  { pauseBeforeLastMs = 0, head = randomBytes(16) }: BodyOptions = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let lastByteAt = performance.now();
    const request = httpRequest(url, { method, agent, headers: { ...headers, 'Content-Length': String(size) } });
    request.on('error', reject);
    request.on('response', (response) => {
      const afterLastByteMs = performance.now() - lastByteAt;
      response.on('error', reject).resume();
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, afterLastByteMs });
      });
    });
    async function feed(): Promise<void> {
      let sent = 0;
      while (sent < size) {
        const last = pauseBeforeLastMs > 0 && sent < size - 1;
        const length = Math.min(CHUNK_BYTES, size - sent - (last ? 1 : 0));
        if (pauseBeforeLastMs > 0 && sent === size - 1) await wait(pauseBeforeLastMs);
        const start = sent % (pool.length - CHUNK_BYTES);
        const chunk = sent === 0 ? withHead(length, head) : pool.subarray(start, start + length);
        sent += length;
        if (sent === size) lastByteAt = performance.now();
        if (!request.write(chunk) && sent < size) await new Promise((drained) => request.once('drain', drained));
      }
      request.end();
    }
    feed().catch(reject);
  });
}

function withHead(length: number, head: Buffer): Buffer {
  const chunk = Buffer.from(pool.subarray(0, length));
  head.copy(chunk);
  return chunk;
}

/** Sends a file in the target's own way: PUT, or POST and PATCH. */
export async function sendFile(target: Target, size: number, options?: BodyOptions): Promise<Reply> {
  if (target.protocol === 'put') return expect2xx(await send('PUT', target.url, {}, size, options));
  return patchFile(await createUpload(target, size), size, options);
}

/** Sends a file by POST to one node and PATCH to another. */
export async function sendFileToTwo(node: Target, other: Target, size: number): Promise<Reply> {
  const { pathname } = new URL(await createUpload(node, size));
  return patchFile(new URL(pathname, other.url).href, size);
}

/** @returns the address of the upload. */
async function createUpload(target: Target, size: number): Promise<string> {
  const created = expect2xx(await send('POST', target.url, { ...TUS, 'Upload-Length': String(size) }, 0));
  return new URL(created.headers.location ?? '', target.url).href;
}

async function patchFile(location: string, size: number, options?: BodyOptions): Promise<Reply> {
  return expect2xx(await send('PATCH', location, { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': '0' }, size, options));
}

/** Sends a file in one request: PUT, or creation with upload. */
export async function sendFileAtOnce(target: Target, size: number): Promise<Reply> {
  if (target.protocol === 'put') return expect2xx(await send('PUT', target.url, {}, size));
  return expect2xx(await send('POST', target.url, { ...TUS, ...OFFSET_TYPE, 'Upload-Length': String(size) }, size));
}

function expect2xx(reply: Reply): Reply {
  if (reply.status < 200 || reply.status > 299) throw new Error(`the server answered ${reply.status}`);
  return reply;
}

/** Runs `count` jobs, `atOnce` at a time. */
export async function inParallel(
  count: number,
  atOnce: number,
  job: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  async function work(): Promise<void> {
    while (next < count) await job(next++);
  }
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** Sends an upload slowly: `bytes` bytes, one every `everyMs`, then cuts the connection. */
export async function trickle(target: Target, bytes: number, everyMs: number): Promise<void> {
  const request = httpRequest(await createUpload(target, 1_000_000), {
    method: 'PATCH',
    headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': '0', 'Content-Length': '1000000' },
  });
  // The connection is cut on purpose.
  request.on('error', () => undefined);
  for (let sent = 0; sent < bytes; sent++) {
    request.write('x');
    await wait(everyMs);
  }
  request.destroy();
}
