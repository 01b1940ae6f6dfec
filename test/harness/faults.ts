/** The faults of an HTTP exchange, and how the proxy plays them. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';

export type Fault =
  /** Answered without being performed. 200 with a `code` is an error in the body, as Complete may have it. */
  | { kind: 'answer'; status: number; code?: string; retryAfterSeconds?: number }
  /** Stalls before the body is read, or after the call was performed. Continues after `forMs`, or else on release. */
  | { kind: 'stall'; at?: 'request' | 'answer'; forMs?: number }
  /** RST before anything is passed on. */
  | { kind: 'reset' }
  /** `afterBytes` of the body pass (never all of it), then both connections are cut. */
  | { kind: 'cutRequest'; afterBytes: number }
  /** Performed; `afterBytes` of the answer's body pass (never all of it), then the connection is cut, or stays open silently. */
  | { kind: 'cutAnswer'; afterBytes: number; silently?: boolean }
  /** RST once all of it has come; performed when it is released, and answered to nobody: the network was slow. */
  | { kind: 'late' }
  /** As `late`, but performed at once, too, and answered: the network has doubled it. */
  | { kind: 'doubled' }
  /** Performed; RST instead of the answer. */
  | { kind: 'loseAnswer' }
  /** Performed twice, one after the other. The client gets the second answer unless `answer` says otherwise. */
  | { kind: 'twice'; answer?: 'first' | 'second' }
  /** Performed; one bit of the answer's body is flipped. */
  | { kind: 'flip' }
  /** Performed; the answer's body is shorter, and its Content-Length, too. */
  | { kind: 'shorten'; byBytes: number }
  /** Not performed, but answered as the provider itself would: with 404 unless `status` says otherwise. */
  | { kind: 'deny'; code: DeniedCode; status?: number }
  /** Performed; the answer has a wrong ETag. */
  | { kind: 'wrongEtag' };

export type DeniedCode = 'NoSuchKey' | 'NoSuchUpload' | 'InvalidPart';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** The client's socket; `request` no longer has it once the client has broken the connection. */
  socket: Socket;
  /** The server behind the proxy. */
  host: string;
  port: number;
  agent: Agent;
  /** Aborted to let stalled calls continue. */
  released: AbortSignal;
}

export async function passOn(exchange: Exchange): Promise<void> {
  await sendBack(exchange, await perform(exchange, exchange.request));
}

export async function playFault(exchange: Exchange, fault: Fault): Promise<void> {
  const { request, response, socket } = exchange;
  switch (fault.kind) {
    case 'answer':
      await finished(request.resume(), { writable: false });
      await answer(response, fault);
      return;
    case 'stall':
      await stall(exchange, fault);
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'cutRequest':
      await cutRequest(exchange, fault.afterBytes);
      return;
    case 'cutAnswer':
      await cutAnswer(exchange, fault);
      return;
    case 'loseAnswer':
      await finished((await perform(exchange, request)).resume());
      socket.resetAndDestroy();
      return;
    case 'late':
    case 'doubled':
      await performLate(exchange, fault.kind === 'doubled');
      return;
    case 'twice':
      await performTwice(exchange, fault.answer ?? 'second');
      return;
    case 'flip':
      await sendBack(exchange, await perform(exchange, request), { body: flipOneBit });
      return;
    case 'shorten':
      await shorten(exchange, fault.byBytes);
      return;
    case 'deny':
      await finished(request.resume(), { writable: false });
      await deny(response, fault);
      return;
    case 'wrongEtag':
      await sendBack(exchange, await perform(exchange, request), { etag: `"${randomBytes(16).toString('hex')}"` });
      return;
  }
}

/** Opens the request to the server, with the same request line and headers, so that the signature holds. */
function openRequest({ request, host, port, agent }: Exchange): ClientRequest {
  const upstream = httpRequest({
    host,
    port,
    agent,
    method: request.method,
    path: request.url,
    headers: groupHeaders(request.rawHeaders),
  });
  if (request.headers['transfer-encoding'] === undefined && request.headers['content-length'] === undefined) {
    // Keeps Node from adding a Transfer-Encoding to a request without a length.
    upstream.useChunkedEncodingByDefault = false;
    upstream.flushHeaders();
  }
  return upstream;
}

/** The headers with their names as they were sent; repeated ones are grouped. */
function groupHeaders(rawHeaders: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const earlier = headers[name];
    headers[name] = earlier === undefined ? value : [earlier, value].flat();
  }
  return headers;
}

/** Sends the request on with this body. @returns the server's answer, as soon as it begins. */
async function perform(exchange: Exchange, body: Readable): Promise<IncomingMessage> {
  const upstream = openRequest(exchange);
  const giveUp = (): void => {
    if (!exchange.response.writableFinished) upstream.destroy();
  };
  exchange.response.once('close', giveUp);
  const answered = once(upstream, 'response') as Promise<[IncomingMessage]>;
  // Where a server answers early and closes, sending the body fails, but its answer still counts.
  upstream.on('error', () => body.unpipe(upstream));
  body.pipe(upstream);
  const [incoming] = await answered;
  return incoming;
}

/** As `perform`, also once the client is gone. */
async function performAlone(exchange: Exchange, body: Buffer): Promise<IncomingMessage> {
  const upstream = openRequest(exchange);
  const answered = once(upstream, 'response') as Promise<[IncomingMessage]>;
  upstream.end(body);
  const [incoming] = await answered;
  return incoming;
}

async function sendBack(
  { response }: Exchange,
  incoming: IncomingMessage,
  changed: { etag?: string; length?: number; body?: (bytes: AsyncIterable<Buffer>) => AsyncIterable<Buffer> } = {},
): Promise<void> {
  const headers = [...incoming.rawHeaders];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase();
    if (name === 'etag' && changed.etag !== undefined) headers[i + 1] = changed.etag;
    if (name === 'content-length' && changed.length !== undefined) headers[i + 1] = String(changed.length);
  }
  response.sendDate = false;
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, headers);
  await pipeline(incoming, changed.body ?? ((bytes: AsyncIterable<Buffer>) => bytes), response);
}

async function* flipOneBit(bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let isFlipped = false;
  for await (const chunk of bytes) {
    if (!isFlipped && chunk.length > 0) {
      const at = Math.floor(chunk.length / 2);
      chunk[at] = (chunk[at] ?? 0) ^ 1;
      isFlipped = true;
    }
    yield chunk;
  }
}

async function shorten(exchange: Exchange, byBytes: number): Promise<void> {
  const incoming = await perform(exchange, exchange.request);
  const length = Math.max(0, Number(incoming.headers['content-length'] ?? 0) - byBytes);
  await sendBack(exchange, incoming, {
    length,
    body: async function* (bytes) {
      let left = length;
      for await (const chunk of bytes) {
        yield chunk.subarray(0, left);
        left -= Math.min(left, chunk.length);
      }
    },
  });
}

async function answer(response: ServerResponse, fault: Fault & { kind: 'answer' }): Promise<void> {
  const code = fault.code ?? { 429: 'TooManyRequests', 503: 'SlowDown' }[fault.status] ?? 'InternalError';
  const retryAfter = fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': fault.retryAfterSeconds };
  await refuse(response, fault.status, code, retryAfter);
}

/** Refuses with the provider's request id, by which a client knows that no proxy in between has answered. */
async function deny(response: ServerResponse, { code, status = 404 }: Fault & { kind: 'deny' }): Promise<void> {
  await refuse(response, status, code, { 'x-amz-request-id': randomBytes(12).toString('hex').toUpperCase() });
}

async function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string | number>,
): Promise<void> {
  response.writeHead(status, { 'Content-Type': 'application/xml', ...headers });
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>A fault.</Message></Error>`;
  response.end(response.req.method === 'HEAD' ? undefined : body);
  await finished(response);
}

async function stall(exchange: Exchange, { at = 'request', forMs }: Fault & { kind: 'stall' }): Promise<void> {
  const incoming = at === 'answer' ? await perform(exchange, exchange.request) : undefined;
  const gone = new AbortController();
  exchange.response.once('close', () => gone.abort());
  const ended = AbortSignal.any([exchange.released, gone.signal]);
  // Without a time limit, waits for the release, or until the client gives up.
  await wait(forMs ?? 2 ** 31 - 1, undefined, { signal: ended }).catch(() => undefined);
  if (gone.signal.aborted) incoming?.destroy();
  else await sendBack(exchange, incoming ?? (await perform(exchange, exchange.request)));
}

async function cutRequest(exchange: Exchange, afterBytes: number): Promise<void> {
  const { request, socket } = exchange;
  const length = Number(request.headers['content-length'] ?? Infinity);
  let left = Math.min(afterBytes, length - 1);
  if (left < 0) {
    socket.resetAndDestroy();
    return;
  }
  const upstream = openRequest(exchange);
  upstream.on('error', () => undefined);
  upstream.flushHeaders();
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    await new Promise<void>((resolve) => upstream.write(piece, () => resolve()));
    if (left <= 0) break;
  }
  upstream.destroy();
  socket.resetAndDestroy();
}

async function cutAnswer(exchange: Exchange, { afterBytes, silently }: Fault & { kind: 'cutAnswer' }): Promise<void> {
  const { request, response, socket, released } = exchange;
  const incoming = await perform(exchange, request);
  let left = Math.min(afterBytes, Number(incoming.headers['content-length'] ?? Infinity) - 1);
  if (left >= 0 && request.method !== 'HEAD') {
    response.sendDate = false;
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, incoming.rawHeaders);
    response.flushHeaders();
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      const piece = chunk.subarray(0, left);
      left -= piece.length;
      await new Promise<void>((resolve) => response.write(piece, () => resolve()));
      if (left <= 0) break;
    }
  }
  incoming.destroy();
  if (silently) await finished(response, { signal: released }).catch(() => undefined);
  // Not a reset: the bytes that were passed on shall arrive.
  socket.destroy();
}

async function performLate(exchange: Exchange, isDoubled: boolean): Promise<void> {
  const body = await buffer(exchange.request);
  if (isDoubled) await sendBack(exchange, await perform(exchange, Readable.from([body])));
  else exchange.socket.resetAndDestroy();
  if (!exchange.released.aborted) await once(exchange.released, 'abort');
  // Nobody waits for its answer.
  const incoming = await performAlone(exchange, body);
  await finished(incoming.resume());
}

async function performTwice(exchange: Exchange, which: 'first' | 'second'): Promise<void> {
  const path = join(tmpdir(), `tidemark-twice-${randomBytes(8).toString('hex')}`);
  try {
    await pipeline(exchange.request, createWriteStream(path));
    const first = await perform(exchange, createReadStream(path));
    if (which === 'second') {
      await finished(first.resume());
      await sendBack(exchange, await perform(exchange, createReadStream(path)));
    } else {
      // The first answer waits, unread, until the second call is done.
      const second = await perform(exchange, createReadStream(path));
      await finished(second.resume());
      await sendBack(exchange, first);
    }
  } finally {
    await rm(path, { force: true });
  }
}
