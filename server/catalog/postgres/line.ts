/** A connection of its own, beside the pool, that listens on one channel. */
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';

/** PostgreSQL: a payload is shorter than 8,000 bytes. */
export const MOST_PAYLOAD_BYTES = 7_900;

const CHANNEL = 'tidemark';
/** No answer for so long: the connection is half open. */
export const ANSWER_TIMEOUT_MS = 5_000;
/** What a line tells itself. */
const PING = 'ping';

/** Why a line ended. `deaf`: the server answers, but what is told is not heard: a pooler in transaction mode does that. */
export type Loss = 'lost' | 'deaf';

export interface Line {
  /** Tells all other lines. */
  send(payload: string): Promise<void>;
  /** Whether the line hears what it tells itself. It is closed where it does not. */
  ping(): Promise<boolean>;
  /** Resolves when it is of no use any more. */
  readonly ended: Promise<Loss>;
  /** Without waiting for a server that may not answer. */
  close(): void;
}

/**
 * Listens on a session, which is the line's from now on.
 *
 * @throws what pg throws.
 */
export async function openLine(client: Client, onPayload: (payload: string) => void): Promise<Line> {
  const pings = new Map<string, () => void>();
  let end: (loss: Loss) => void = () => undefined;
  const ended = new Promise<Loss>((resolve) => (end = resolve));
  client.on('error', () => end('lost'));
  client.on('end', () => end('lost'));
  client.on('notification', ({ payload = '', processId }) => {
    const [word, id = ''] = payload.split(' ');
    // Every line hears the pings of all.
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
    // A server that does not answer would keep it open.
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
