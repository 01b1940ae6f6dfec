/** Reads the kernel's list of TCP connections (proc(5): /proc/net/tcp). */
import { readFile } from 'node:fs/promises';

interface Connection {
  from: number;
  to: number;
  /** Sent and not yet received by the other end. */
  sentBytes: number;
  /** Received and not yet read. */
  unreadBytes: number;
  /** Whether no process has the socket any more. */
  isOrphan: boolean;
}

/** Lists both ends of each IPv4 connection; empty where there is no such file. */
async function listConnections(): Promise<Connection[]> {
  const table = await readFile('/proc/net/tcp', 'utf8').catch(() => '');
  return table
    .split('\n')
    .slice(1, -1)
    .map((line) => {
      const [, local = '', remote = '', , queues = '', , , , , inode] = line.trim().split(/\s+/);
      const [sent = '', unread = ''] = queues.split(':');
      return {
        from: portOf(local),
        to: portOf(remote),
        sentBytes: parseInt(sent, 16),
        unreadBytes: parseInt(unread, 16),
        isOrphan: inode === '0',
      };
    });
}

function portOf(address: string): number {
  return parseInt(address.slice(address.indexOf(':') + 1), 16);
}

/**
 * Counts the bytes sent to a port that its listener has not read yet. 0 where the kernel
 * does not tell: a test must pass in either case.
 */
export async function countWaitingBytes(port: number): Promise<number> {
  let waiting = 0;
  for (const { from, to, sentBytes, unreadBytes } of await listConnections()) {
    if (to === port) waiting += sentBytes;
    if (from === port) waiting += unreadBytes;
  }
  return waiting;
}

/** Whether the process that listens on a port still has its end of this client's connection. */
export async function isConnected(clientPort: number | undefined, port: number): Promise<boolean> {
  return (await listConnections()).some(({ from, to, isOrphan }) => from === port && to === clientPort && !isOrphan);
}
