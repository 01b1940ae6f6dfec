/** An HTTP proxy as operators put it up: it passes its own idea of Host, and refuses what it was set up to. */
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { onTestFinished } from 'vitest';

export interface PlainProxyOptions {
  /** Port of the service on loopback. */
  toPort: number;
  /** Pass the client's Host on; else the service sees the address that the proxy calls. */
  passesHost?: boolean;
  /** The status with which it refuses a request by itself; undefined passes it on. */
  refuse?: (request: IncomingMessage) => number | undefined;
}

/** Opens one on loopback for the running test. */
export async function openPlainProxy(options: PlainProxyOptions): Promise<{ url: string }> {
  const server = createServer((incoming, outgoing) => {
    const status = options.refuse?.(incoming);
    if (status !== undefined) {
      // As nginx does: the answer first, then what still comes is read and dropped.
      outgoing.writeHead(status, { 'Content-Type': 'text/html' }).end(`<h1>${status}</h1>`);
      incoming.resume();
      return;
    }
    const { method, url, headers } = incoming;
    const host = options.passesHost ? headers.host : `127.0.0.1:${options.toPort}`;
    const onward = request({
      host: '127.0.0.1',
      port: options.toPort,
      method,
      path: url,
      headers: { ...headers, host },
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
