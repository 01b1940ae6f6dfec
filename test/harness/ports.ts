/** Ports for servers that need the same port after a restart. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that a kernel assigns by itself (from 32768 on Linux, from 49152 elsewhere), and below those of
// scripts/ceph. Above 10080, which fetch refuses ("bad port" of the Fetch standard).
const FIRST = 10_100;
const COUNT = 9_900;

/**
 * Finds a TCP port of the loopback address on which nothing listens. No other caller, of
 * this process or another, gets it as long as this process runs.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(COUNT);
    if ((await claim(port)) && (await isFree(port))) return port;
  }
}

/**
 * Claims a port, until this process exits: by binding the UDP port of the same number, which tests do not use otherwise.
 *
 * @returns false where another caller has claimed it.
 */
async function claim(port: number): Promise<boolean> {
  const twin = createSocket('udp4');
  return settle(once(twin.bind({ port, address: '127.0.0.1', exclusive: true }).unref(), 'listening'));
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await settle(once(server.listen(port, '127.0.0.1'), 'listening'));
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}

async function settle(listening: Promise<unknown>): Promise<boolean> {
  try {
    await listening;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}
