/** Notices by LISTEN and NOTIFY, on a connection of their own that is reopened whenever it is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ear, MOST_NOTICE_BYTES, type Notices, type NoticesOptions } from '../notices.ts';
import { connectTo, type PostgresAddress } from './connect.ts';
import { ANSWER_TIMEOUT_MS, type Line, MOST_PAYLOAD_BYTES, openLine } from './line.ts';

/** How often the connection is tested: one that is half open would be silent for hours. */
const PING_EVERY_MS = 3_000;
const FIRST_RECONNECT_MS = 500;
const MOST_RECONNECT_MS = 30_000;
/** How long a notice that is not urgent waits for others, so that not every upload needs a statement. */
const COMPANY_MS = 50;
/** How many notices may wait; further ones are dropped. */
const MOST_WAITING = 1_000;

const DEAF =
  'the database takes notices between nodes (NOTIFY), and does not deliver them (LISTEN), as a pooler in transaction mode ' +
  'does: nodes wake each other later. DATABASE_DIRECT_URL is for an address past it';

/** Opens the connection in the background. Until it is open, and whenever it is lost, notices are lost. */
export function openPostgresNotices(address: PostgresAddress, { tell }: NoticesOptions): Notices {
  const { openSession, name, close } = connectTo(address, { queryTimeoutMs: ANSWER_TIMEOUT_MS });
  const ears = new Set<Ear>();
  const closed = new AbortController();
  const outgoing = createOutgoing();
  let line: Line | undefined;
  let problem: string | undefined;

  function report(found: string | undefined): void {
    if (found !== undefined && problem === undefined) tell(found);
    if (found === undefined && problem !== undefined) tell('notices between nodes come again');
    problem = found;
  }

  async function keep(): Promise<void> {
    for (let pauseMs = FIRST_RECONNECT_MS; !closed.signal.aborted;) {
      const hasHeard = await useLine();
      pauseMs = hasHeard ? FIRST_RECONNECT_MS : Math.min(pauseMs * 2, MOST_RECONNECT_MS);
      // Random, so that nodes do not all reconnect at the same moment.
      await pause(pauseMs * (0.5 + Math.random()));
    }
  }

  /** Opens a connection, and uses it until it ends. @returns whether notices arrived on it. */
  async function useLine(): Promise<boolean> {
    let hasHeard = false;
    try {
      const opened = await openLine(await openSession(), (payload) => {
        for (const notice of payload.split('\n')) for (const ear of ears) ear.onNotice(notice);
      });
      opened.ended.then(() => (line = undefined)).catch(() => undefined);
      line = opened;
      outgoing.clear();
      // `close` was called while the connection was being opened.
      if (closed.signal.aborted) opened.close();
      while (await opened.ping()) {
        if (!hasHeard) for (const ear of ears) ear.onGap();
        hasHeard = true;
        report(undefined);
        await Promise.race([opened.ended, pause(PING_EVERY_MS)]);
      }
      if ((await opened.ended) === 'deaf') report(DEAF);
      return hasHeard;
    } catch (error) {
      if (!closed.signal.aborted)
        report(`the catalog ${name} lets no notices between nodes through (${(error as Error).message})`);
      return hasHeard;
    }
  }

  async function pause(forMs: number): Promise<void> {
    await sleep(forMs, undefined, { signal: closed.signal, ref: false }).catch(() => undefined);
  }

  const keeping = keep();
  return {
    send: (notice, { urgent = false } = {}) => outgoing.add(notice, urgent, () => line),
    hear: (ear) => {
      ears.add(ear);
      return () => void ears.delete(ear);
    },
    close: async () => {
      closed.abort();
      line?.close();
      await keeping;
      await close();
    },
  };
}

/** Queues notices to send: each notice once, many with one statement, one statement at a time. */
function createOutgoing() {
  const waiting = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let isSending = false;

  async function sendAll(line: Line | undefined): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (isSending || !line) return;
    isSending = true;
    try {
      while (waiting.size > 0) await line.send(takeSome());
    } catch {
      // Notices are hints, and may be lost. `send` has closed the connection, and `keep` opens another.
    } finally {
      isSending = false;
    }
  }

  function takeSome(): string {
    let payload = '';
    for (const notice of waiting) {
      const longer = payload === '' ? notice : `${payload}\n${notice}`;
      if (Buffer.byteLength(longer) > MOST_PAYLOAD_BYTES) break;
      payload = longer;
      waiting.delete(notice);
    }
    return payload;
  }

  return {
    add(notice: string, urgent: boolean, lineNow: () => Line | undefined): void {
      if (waiting.size >= MOST_WAITING || Buffer.byteLength(notice) > MOST_NOTICE_BYTES) return;
      waiting.add(notice);
      if (urgent) void sendAll(lineNow());
      else timer ??= setTimeout(() => void sendAll(lineNow()), COMPANY_MS).unref();
    },
    /** Drops the notices that waited for a connection that is lost. */
    clear: () => waiting.clear(),
  };
}
