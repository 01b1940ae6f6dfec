/** Ports for servers that are to find theirs free again after a restart. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below all that a kernel gives to a process that asks for any port, or connects (32768 and up on Linux,
// 49152 elsewhere), and below those of scripts/ceph. Not 10080: fetch refuses it ("bad port" of the Fetch standard).
const FIRST = 10_100;
const COUNT = 9_900;

/**
 * A TCP port of the loopback address on which nothing listens, and that no other caller
 * gets, of this process or another, as long as this process lives.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(COUNT);
    if ((await claim(port)) && (await isFree(port))) return port;
  }
}

/** Claims a port by the UDP port of the same number, which the tests do not use otherwise; the claim ends with the process. @returns false where it was claimed. */
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
