/** A connection on which tests write requests byte by byte and read every answer, informational ones included. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One answer as it came over the wire. */
export interface WireAnswer {
  /** The first line, e.g. `HTTP/1.1 104 Upload Resumption Supported`. */
  line: string;
  status: number;
  /** By name in lower case. */
  headers: Record<string, string>;
  body: string;
  /** The JSON of the body. */
  json: Record<string, unknown>;
}

export interface Wire {
  readonly socket: Socket;
  /** Writes bytes as they are. */
  write(bytes: string | Uint8Array): void;
  /** The next answer. @param isHead - it answers a HEAD, and has no body. */
  next(isHead?: boolean): Promise<WireAnswer>;
  /** The next answer that is not informational, and those before it. */
  final(isHead?: boolean): Promise<WireAnswer & { before: WireAnswer[] }>;
  /** Cuts the connection, as a client that dies. */
  cut(): void;
}

/** Opens a connection to a service. */
export async function openWire(port: number): Promise<Wire> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let buffer = Buffer.alloc(0);
  let isClosed = false;
  let wake: () => void = () => undefined;
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    wake();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
    wake();
  });

  async function until(found: () => boolean): Promise<void> {
    while (!found()) {
      if (isClosed) throw new Error(`the connection closed after ${JSON.stringify(buffer.toString('latin1'))}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async function next(isHead = false): Promise<WireAnswer> {
    await until(() => buffer.includes('\r\n\r\n'));
    const end = buffer.indexOf('\r\n\r\n');
    const [line = '', ...fields] = buffer.subarray(0, end).toString('latin1').split('\r\n');
    buffer = buffer.subarray(end + 4);
    const status = Number(line.split(' ')[1]);
    const headers = Object.fromEntries(
      fields.map((field) => [
        field.slice(0, field.indexOf(':')).toLowerCase(),
        field.slice(field.indexOf(':') + 1).trim(),
      ]),
    );
    const hasBody = !isHead && status >= 200 && status !== 204;
    const length = hasBody ? Number(headers['content-length'] ?? 0) : 0;
    await until(() => buffer.length >= length);
    const body = buffer.subarray(0, length).toString('utf8');
    buffer = buffer.subarray(length);
    return { line, status, headers, body, json: jsonOf(body) };
  }

  async function final(isHead = false): Promise<WireAnswer & { before: WireAnswer[] }> {
    const before: WireAnswer[] = [];
    for (;;) {
      const answer = await next(isHead);
      if (answer.status >= 200) return { ...answer, before };
      before.push(answer);
    }
  }

  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    next,
    final,
    cut: () => socket.destroy(),
  };
}

/** A head as text. Fields are written in this order and case. */
export function headOf(method: string, path: string, fields: Record<string, string | number>, version = '1.1'): string {
  const lines = Object.entries({ Host: '127.0.0.1', ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

/** Sends one request on a connection of its own, with a body of a known length. */
export async function sendWire(
  port: number,
  method: string,
  path: string,
  fields: Record<string, string | number> = {},
  body?: string | Uint8Array,
): Promise<WireAnswer & { before: WireAnswer[] }> {
  const wire = await openWire(port);
  try {
    const length =
      body === undefined || 'Transfer-Encoding' in fields ? {} : { 'Content-Length': Buffer.byteLength(body) };
    wire.write(headOf(method, path, { ...length, ...fields }));
    if (body !== undefined && body.length > 0) wire.write(body);
    return await wire.final(method === 'HEAD');
  } finally {
    wire.cut();
  }
}

function jsonOf(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return {};
  }
}
