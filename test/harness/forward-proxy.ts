/** A forward proxy such as companies run: whole addresses for plain HTTP, tunnels for TLS, a name and a password. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { SelfSigned } from './self-signed.ts';

export interface ForwardProxyOptions {
  /** Ports on loopback where it finds every host: for plain HTTP, and for TLS. */
  to: { plain: number; tls?: number };
  /** `name:password` that it asks for. */
  credentials?: string;
  /** Its own certificate: clients reach it by TLS. */
  tls?: SelfSigned;
  /** The status with which it refuses to open a tunnel. */
  refuse?: number;
}

export interface ForwardProxy {
  readonly port: number;
  /** The request lines that it has accepted. */
  readonly seen: string[];
}

/** Opens a proxy on loopback, until the running test has finished. */
export async function openForwardProxy({ to, credentials, tls, refuse }: ForwardProxyOptions): Promise<ForwardProxy> {
  const seen: string[] = [];
  const sockets = new Set<Duplex>();
  const expected = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
  const isKnown = ({ headers }: IncomingMessage): boolean =>
    expected === undefined || headers['proxy-authorization'] === expected;

  function pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (!isKnown(incoming) || !URL.canParse(incoming.url ?? '')) {
      outgoing.writeHead(isKnown(incoming) ? 400 : 407, { 'Proxy-Authenticate': 'Basic realm="proxy"' }).end();
      incoming.resume();
      return;
    }
    seen.push(`${incoming.method} ${incoming.url}`);
    const { pathname, search } = new URL(incoming.url ?? '');
    const { 'proxy-authorization': _, ...headers } = incoming.headers;
    const onward = request({ port: to.plain, method: incoming.method, path: pathname + search, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }

  const server = tls ? createTlsServer(tls, pass) : createServer(pass);
  server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
    sockets.add(socket.on('error', () => socket.destroy()));
    const status = isKnown(incoming) ? refuse : 407;
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    seen.push(`CONNECT ${incoming.url}`);
    const onward = connect(to.tls ?? 0, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    sockets.add(onward.on('error', () => socket.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

/** A service's port for TLS: passes what comes on to its port for plain HTTP, until the running test has finished. */
export async function openTlsFront(toPort: number, certificate: SelfSigned): Promise<number> {
  const server = createTlsServer(certificate, (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const onward = request({ port: toPort, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
