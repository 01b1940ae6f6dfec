/**
 * One HTTP exchange over node:http. Adds what the HTTP stack of tus-js-client lacks: a
 * timeout for stalled transfers, an abort signal, and answers that arrive before the
 * body has been sent.
 */
import http from 'node:http';
import https from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage, ClientRequest } from 'node:http';
import { CliError, TransportError } from './errors.ts';
import { formatDuration } from './format.ts';
import { routeTo } from './proxy.ts';

/** Bytes to send. `chunks` can be called once, and a chunk is valid only until the next one is requested. */
export interface Body {
  readonly size: number;
  chunks(): AsyncIterable<Uint8Array>;
}

export interface Exchange {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: Body | string | undefined;
  signal: AbortSignal;
  /** How long nothing may move before the connection counts as dead. */
  stallTimeoutMs: number;
  /** How long the answer may take once all is sent, where that is longer than `stallTimeoutMs`: the service has work to do. */
  answerTimeoutMs?: number;
  /** Called when the operating system has taken a chunk of the body: its size, and the total so far. */
  onSent?: ((bytes: number, totalBytes: number) => void) | undefined;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Answers to API calls are small: a longer one is not from a Tidemark service. */
const LONGEST_ANSWER_BYTES = 16 * 1024 * 1024;
/** A file's path, percent-encoded, can have three quarters of what Node takes by default. */
const LONGEST_HEAD_BYTES = 32 * 1024;
/** How many "sent" bytes the operating system may still hold (Linux: tcp_wmem's default maximum). */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

/** Sends a request and reads the whole answer. @throws TransportError for failures of the connection; the signal's reason. */
export async function exchange(request: Exchange): Promise<Answer> {
  const response = await open(request);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readBody(response, request)) {
    size += chunk.length;
    if (size > LONGEST_ANSWER_BYTES) throw new TransportError('answer_too_long', 'the answer is too long');
    chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  };
}

/** Sends a request and resolves with the head of the answer. Read the body with `readBody`, or destroy it. */
export function open(request: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { body, signal } = request;
    const outgoing = begin(request);
    const course = { startedAt: performance.now(), sentBytes: 0, isConnected: watchConnection(outgoing) };
    const watch = watchStall(
      () => allowedSilenceMs(request, outgoing, course),
      (silentMs) => fail(stallError(silentMs)),
    );
    let settled = false;

    function settle(): void {
      settled = true;
      watch.stop();
      signal.removeEventListener('abort', onAbort);
    }
    function fail(error: unknown): void {
      if (settled) return;
      settle();
      outgoing.destroy();
      reject(error instanceof Error ? error : new Error(String(error)));
    }
    function onAbort(): void {
      fail(signal.reason);
    }
    function onSent(bytes: number): void {
      course.sentBytes += bytes;
      watch.touch();
      request.onSent?.(bytes, course.sentBytes);
    }

    outgoing.on('error', (error) => fail(asTransportError(error)));
    outgoing.on('close', () => fail(new TransportError('closed', 'the connection was closed without an answer')));
    outgoing.on('response', (response) => {
      settle();
      // An answer before the end of the body is a refusal: the rest of the body is not needed.
      if (!outgoing.writableEnded) response.once('end', () => outgoing.destroy());
      resolve(response);
    });
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    if (body === undefined || typeof body === 'string') outgoing.end(body);
    else pump(outgoing, body, onSent).catch(fail);
  });
}

/** Opens a request, directly or through a proxy, without its body. */
function begin({ method, url: address, headers: given, body }: Exchange): ClientRequest {
  const url = new URL(address);
  const headers: Record<string, string> = { ...given };
  if (typeof body === 'string') headers['Content-Length'] = String(Buffer.byteLength(body));
  else if (body) headers['Content-Length'] = String(body.size);
  const { agent, via } = routeTo(url);
  const { protocol } = via ?? url;
  return (protocol === 'https:' ? https : http).request(url, {
    method,
    agent,
    maxHeaderSize: LONGEST_HEAD_BYTES,
    ...via,
    headers: via ? { ...headers, Host: url.host, ...via.headers } : headers,
  });
}

/** @returns a function that says whether the request has a connection by now. */
function watchConnection(outgoing: ClientRequest): () => boolean {
  let connected = false;
  outgoing.once('socket', (socket) => {
    connected = !socket.connecting;
    // A reused connection must not collect a listener with each request.
    if (connected) return;
    socket.once('connect', () => {
      connected = true;
    });
  });
  return () => connected;
}

/** How long nothing may move in the present state of the request. */
function allowedSilenceMs(
  { stallTimeoutMs, answerTimeoutMs = 0 }: Exchange,
  outgoing: ClientRequest,
  { startedAt, sentBytes, isConnected }: { startedAt: number; sentBytes: number; isConnected: () => boolean },
): number {
  // On a slow connection, the system's buffer takes a while to drain: that is no stall.
  const bytesPerMs = sentBytes / (performance.now() - startedAt + 1);
  const drainMs = sentBytes === 0 ? 0 : SOCKET_BUFFER_BYTES / bytesPerMs;
  // The longer wait for an answer does not hide a peer that vanishes: TCP keep-alive probes the connection every second.
  const awaitsAnswer = isConnected() && outgoing.writableEnded;
  const silentMs = Math.max(stallTimeoutMs, awaitsAnswer ? answerTimeoutMs : 0);
  return silentMs + Math.min(drainMs, 3 * stallTimeoutMs);
}

/** Writes the body. Returns without an error when the request ends before the body does. @throws the body's own error. */
async function pump(outgoing: ClientRequest, body: Body, onSent: (bytes: number) => void): Promise<void> {
  // A destroyed request may never call a write's callback: its event `close` releases the writer.
  let release: () => void = () => {};
  outgoing.once('close', () => release());
  outgoing.once('response', () => release());
  let over = false;
  const end = (): void => {
    over = true;
  };
  outgoing.once('close', end);
  outgoing.once('response', end);

  for await (const chunk of body.chunks()) {
    if (over) return;
    const taken = await new Promise<boolean>((resolve) => {
      release = () => resolve(false);
      outgoing.write(chunk, (error) => resolve(!error));
    });
    if (!taken || over) return;
    onSent(chunk.length);
  }
  outgoing.end();
}

/** Yields the body of an answer, chunk by chunk. @throws TransportError where it stalls or is cut off; the signal's reason. */
export async function* readBody(
  response: IncomingMessage,
  options: Pick<Exchange, 'signal' | 'stallTimeoutMs'>,
): AsyncGenerator<Buffer, void, undefined> {
  const watch = watchStall(
    () => options.stallTimeoutMs,
    (silentMs) => response.destroy(stallError(silentMs)),
  );
  const onAbort = (): void => {
    response.destroy(options.signal.reason as Error);
  };
  if (options.signal.aborted) onAbort();
  else options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      watch.touch();
      yield chunk;
      // The time that the reader took for the chunk does not count.
      watch.touch();
    }
  } catch (error) {
    options.signal.throwIfAborted();
    throw asTransportError(error);
  } finally {
    watch.stop();
    options.signal.removeEventListener('abort', onAbort);
  }
}

/** Calls `onStall` once, when nothing has moved for the allowed time. */
function watchStall(
  allowedMs: () => number,
  onStall: (silentMs: number) => void,
): { touch: () => void; stop: () => void } {
  let movedAt = performance.now();
  let timer: NodeJS.Timeout;
  const arm = (delayMs: number): void => {
    timer = setTimeout(look, delayMs);
  };
  function look(): void {
    const silentMs = performance.now() - movedAt;
    const leftMs = allowedMs() - silentMs;
    if (leftMs > 0) arm(leftMs + 1);
    else onStall(silentMs);
  }
  arm(allowedMs());
  return {
    touch() {
      movedAt = performance.now();
    },
    stop() {
      clearTimeout(timer);
    },
  };
}

function stallError(silentMs: number): TransportError {
  return new TransportError('stalled', `the connection stalled for ${formatDuration(silentMs)}`);
}

const NETWORK_MESSAGES: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name could not be looked up',
};

/** Turns an error into a TransportError, by its code. */
function asTransportError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TransportError || error instanceof CliError) return error;
  // Happy eyeballs: several addresses failed, each with an error of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const code = (error as NodeJS.ErrnoException).code ?? (first as NodeJS.ErrnoException).code ?? 'network';
  return new TransportError(code.toLowerCase(), NETWORK_MESSAGES[code] ?? error.message, { cause: error });
}
