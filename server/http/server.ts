/** The HTTP server around the app. It handles malformed requests and idle connections itself. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Refusal } from '../refusal.ts';
import type { Connections } from './connections.ts';
import { describeRefusal } from './errors.ts';
import { MAX_HEADER_BYTES } from './limits.ts';
import { refusal } from './refusals.ts';
import { readTarget } from './target.ts';

/** How long a connection stays open for a refused client to read the answer. */
const LINGER_MS = 2_000;
/** How long a connection is silent before the kernel probes the other end (TCP keep-alive, RFC 9293 section 3.8.4). */
const PROBE_AFTER_MS = 60_000;

export interface HttpServerParts {
  /** Answers a request whose target can be read. */
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** Called for each connection as it is accepted. */
  onConnection: () => void;
  /** How long a connection may be idle while the service waits for the client. */
  idleTimeoutMs: number;
  connections: Connections;
  log: Logger;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** Prepares the server; it does not listen yet. */
export function createHttpServer(parts: HttpServerParts): Server {
  const { answer, onConnection, idleTimeoutMs, connections, log } = parts;
  /** The latest request of each connection, until it is answered. */
  const running = new WeakMap<Socket, Exchange>();

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const exchange = { request, response };
    running.set(socket, exchange);
    response.once('close', () => {
      if (running.get(socket) === exchange) running.delete(socket);
    });
    const tooMany = connections.begin(socket, response);
    if (tooMany) {
      refuse(response, tooMany);
      return;
    }
    const target = readTarget(request.url ?? '');
    if (!target) {
      const refused = refusal('invalid_request', { message: 'The request target is not valid.' });
      refuse(response, refused);
      log.info({ method: request.method, status: refused.status, code: refused.code }, 'request');
      return;
    }
    request.url = target.path;
    if (target.host !== undefined) request.headers.host = target.host;
    answer(request, response).catch((error: unknown) => {
      log.error({ err: error }, 'a request could not be answered');
      socket.destroy();
    });
  }

  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, keepAlive: true, keepAliveInitialDelay: PROBE_AFTER_MS },
    serve,
  );
  connections.watch(server);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response);
    serve(request, response);
  });
  // An upload may last for days. A connection on which nothing moves may not.
  server.requestTimeout = 0;
  server.headersTimeout = 60_000;
  server.keepAliveTimeout = 65_000;
  server.timeout = idleTimeoutMs;

  server.on('connection', onConnection);

  server.on('timeout', (socket: Socket) => {
    const exchange = running.get(socket);
    if (exchange && !isClientsTurn(exchange, socket)) socket.setTimeout(idleTimeoutMs);
    else closeIdle(socket, exchange, log);
  });

  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    refuseMalformed(error, socket, running.get(socket));
  });
  return server;
}

/** Closes an idle connection. Answers its request first, if one is under way and has no answer yet. */
function closeIdle(socket: Socket, exchange: Exchange | undefined, log: Logger): void {
  if (exchange) {
    const requestId = exchange.response.getHeader('X-Request-Id');
    log.info({ requestId }, 'a connection on which nothing moved was closed');
  }
  if (!exchange || exchange.response.headersSent) {
    socket.destroy();
    return;
  }
  // The answer has the headers that the routes have set so far.
  refuse(exchange.response, refusal('request_timeout'));
  // Node does not end a request that is answered. The store, which reads its body, would wait for more bytes for ever.
  socket.once('close', () => exchange.request.destroy());
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** Answers a malformed request, and closes the connection. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket, exchange: Exchange | undefined): void {
  // The parser reports the same error again for all bytes that arrive later.
  if (socket.writableEnded) return;
  if (error.code === 'ECONNRESET' || !socket.writable || exchange?.response.headersSent) {
    socket.destroy();
    return;
  }
  socket.end(refusalText(refusalOf(error)), () => {
    // Where the body of a request was malformed, close at once. Where its head was, the client may still be sending it, and
    // closing now would make it lose the answer.
    if (exchange) socket.destroy();
  });
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** Whether the service waits for the client: for more of its body, or for it to read. An answer may take any time. */
function isClientsTurn({ request, response }: Exchange, socket: Socket): boolean {
  const keepsFromSending = !request.complete && request.readableLength === 0 && !request.isPaused();
  const keepsFromReading = response.headersSent && socket.writableLength > 0;
  return keepsFromSending || keepsFromReading;
}

/**
 * Sends 100 (RFC 9110 section 10.1.1) only once something reads the body. So a request that is refused by its headers is
 * refused before the client sends a byte.
 */
function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  // Every way to read a stream calls this method. Node has no event for it.
  /* oxlint-disable no-underscore-dangle -- the name is Node's */
  const read = request._read.bind(request);
  request._read = (size) => {
    request._read = read;
    if (!response.headersSent && !response.destroyed) response.writeContinue();
    read(size);
  };
  /* oxlint-enable no-underscore-dangle */
}

/** Makes the refusal for an error of Node's HTTP parser, or of its timeout for headers. */
function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return refusal('request_timeout', { cause: error });
  const message =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? `The request line and headers must be at most ${MAX_HEADER_BYTES} bytes long.`
      : 'This is not a valid HTTP request.';
  return refusal('invalid_request', { message, cause: error });
}

function refuse(response: ServerResponse, refused: Refusal): void {
  const body = JSON.stringify(describeRefusal(refused));
  response.writeHead(refused.status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...refused.headers,
    Connection: 'close',
  });
  response.end(body);
}

/** A whole answer as text, for where Node has created no response object. */
function refusalText(refused: Refusal): string {
  const body = JSON.stringify(describeRefusal(refused));
  return [
    `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
