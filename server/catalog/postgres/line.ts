/** A connection of its own, beside the pool, that listens on one channel. */
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';

/** PostgreSQL: a payload is shorter than 8,000 bytes. */
export const MOST_PAYLOAD_BYTES = 7_900;

const CHANNEL = 'tidemark';
/** After this long without an answer, the connection counts as half open. */
export const ANSWER_TIMEOUT_MS = 5_000;
/** The first word of a notification that a connection sends to itself. */
const PING = 'ping';

/** Why it ended. `deaf`: the server answers, but delivers no notifications, as with a pooler in transaction mode. */
export type Loss = 'lost' | 'deaf';

/** The connection. */
export interface Line {
  /** Notifies all other connections that listen. */
  send(payload: string): Promise<void>;
  /** Whether a notification that it sends to itself arrives. If not, it is closed. */
  ping(): Promise<boolean>;
  /** Resolves when it cannot be used any more. */
  readonly ended: Promise<Loss>;
  /** Closes it without waiting for a server that may not answer. */
  close(): void;
}

/**
 * Listens on a session, which belongs to the returned object from now on.
 *
 * @param onPayload - called with each notification of another connection.
 * @throws pg's errors.
 */
export async function openLine(client: Client, onPayload: (payload: string) => void): Promise<Line> {
  const pings = new Map<string, () => void>();
  let end: (loss: Loss) => void = () => undefined;
  const ended = new Promise<Loss>((resolve) => (end = resolve));
  client.on('error', () => end('lost'));
  client.on('end', () => end('lost'));
  client.on('notification', ({ payload = '', processId }) => {
    const [word, id = ''] = payload.split(' ');
    // The pings of all connections arrive at each of them.
    if (word === PING) pings.get(id)?.();
    else if (processId !== ownId) onPayload(payload);
  });
  const ownId = (client as Client & { processID?: number }).processID;

  async function send(payload: string): Promise<void> {
    try {
      await client.query('select pg_notify($1, $2)', [CHANNEL, payload]);
    } catch (error) {
      close('lost');
      throw error;
    }
  }

  async function ping(): Promise<boolean> {
    const id = randomUUID();
    let timer: NodeJS.Timeout | undefined;
    const isHeard = new Promise<boolean>((resolve) => {
      pings.set(id, () => resolve(true));
      timer = setTimeout(() => resolve(false), ANSWER_TIMEOUT_MS);
    });
    try {
      await send(`${PING} ${id}`);
      if (await isHeard) return true;
      close('deaf');
      return false;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
      pings.delete(id);
    }
  }

  function close(loss: Loss): void {
    end(loss);
    void client.end().catch(() => undefined);
    // `end` waits for the server, which may not answer.
    client.connection.stream.destroy();
  }

  try {
    await client.query(`listen ${CHANNEL}`);
  } catch (error) {
    close('lost');
    throw error;
  }
  return { send, ping, ended, close: () => close('lost') };
}
