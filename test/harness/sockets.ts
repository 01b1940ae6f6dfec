/** TCP connections of loopback as the kernel has them (proc(5): /proc/net/tcp). */
import { readFile } from 'node:fs/promises';

interface Connection {
  from: number;
  to: number;
  /** Sent and not yet received by the other end. */
  sentBytes: number;
  /** Received and not yet read. */
  unreadBytes: number;
  /** Whether no process has it any more. */
  isOrphan: boolean;
}

/** Each end of each connection over IPv4; none where there is no such file. */
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
 * Bytes on their way to a port that its listener has not read. Where the kernel does
 * not tell it is 0: a test must hold whatever has been read.
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
