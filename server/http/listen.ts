/** Starts and stops the HTTP server. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

/**
 * Listens on a host and port; port 0 means a free one.
 *
 * @returns where it listens, e.g. `http://127.0.0.1:8080`.
 * @throws the listening error of the socket.
 */
export async function listen(server: Server, host: string, port: number, log: Logger): Promise<string> {
  const taken = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
  server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'));
  return `http://${bracketed(host)}:${taken}`;
}

/** Stops listening, and waits for the requests under way. Closes all connections that are left at the time limit. */
export function closeServer(server: Server, timeoutMs: number, log: Logger): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      log.warn('requests still open at the shutdown time limit were cut');
      server.closeAllConnections();
    }, timeoutMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
    // Connections whose requests end from now on are closed, not kept for another request.
    server.keepAliveTimeout = 1;
  });
}

/** An IPv6 address as it stands in a URL. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
