/** Requests as bytes on a socket, for tests of the protocol's rules: no library between, and the answer as it came. */
import { connect } from 'node:net';

export interface WireAnswer {
  status: number;
  /** Header lines in their order and case. */
  lines: string[];
  /** Values by lower-case name. */
  headers: Record<string, string>;
  body: string;
  code: string | undefined;
  /** `error.message` of a JSON body. */
  message: string | undefined;
}

/** Sends one request, whose head is given line by line, and reads the answer until the connection closes. */
export function exchange(port: number, head: readonly string[], body: Uint8Array | string = ''): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', (error) => (chunks.length > 0 ? resolve(parse(Buffer.concat(chunks))) : reject(error)));
    socket.on('close', () => resolve(parse(Buffer.concat(chunks))));
    socket.write([...head, `Host: 127.0.0.1:${port}`, 'Connection: close', '', ''].join('\r\n'));
    if (body.length > 0) socket.write(body);
  });
}

function parse(bytes: Buffer): WireAnswer {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const body = bytes.subarray(end + 4).toString();
  const error = errorIn(body);
  return { status: Number(first.split(' ')[1]), lines, headers, body, code: error?.code, message: error?.message };
}

function errorIn(body: string): { code?: string; message?: string } | undefined {
  try {
    return (JSON.parse(body) as { error?: { code?: string; message?: string } }).error;
  } catch {
    return undefined;
  }
}
