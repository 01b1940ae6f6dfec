/** An HTTP proxy such as operators run: it may replace the Host header, and refuse chosen requests itself. */
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { onTestFinished } from 'vitest';

export interface PlainProxyOptions {
  /** Port of the service on loopback. */
  toPort: number;
  /** Whether to pass the client's Host on; otherwise the service gets the address that the proxy requests. */
  passesHost?: boolean;
  /** The status with which it refuses a request by itself; undefined passes it on. */
  refuse?: (request: IncomingMessage) => number | undefined;
  /** As a cache may: asks for a HEAD by GET, without the headers that it does not know. */
  asksByGet?: boolean;
}

/** Opens a proxy on loopback, until the running test has finished. */
export async function openPlainProxy(options: PlainProxyOptions): Promise<{ url: string }> {
  const server = createServer((incoming, outgoing) => {
    const status = options.refuse?.(incoming);
    if (status !== undefined) {
      // As nginx does: sends the answer first, then reads and drops the rest of the request.
      outgoing.writeHead(status, { 'Content-Type': 'text/html' }).end(`<h1>${status}</h1>`);
      incoming.resume();
      return;
    }
    const { method, url, headers } = incoming;
    const host = options.passesHost ? headers.host : `127.0.0.1:${options.toPort}`;
    const isAsked = options.asksByGet === true && method === 'HEAD';
    const { 'tus-resumable': _, ...known } = headers;
    const onward = request({
      host: '127.0.0.1',
      port: options.toPort,
      method: isAsked ? 'GET' : method,
      path: url,
      headers: { ...(isAsked ? known : headers), host },
    });
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, outgoing, () => undefined);
    });
    pipeline(incoming, onward, (error) => {
      if (error) outgoing.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
