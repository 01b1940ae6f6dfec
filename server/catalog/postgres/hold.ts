/**
 * The catalog for one service alone, until several are right on one: it holds a lock of its session for as long as it
 * has it open, as the lock on an SQLite file is held. The server drops it when the process ends, however it ends.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { CatalogError } from '../catalog.ts';
import { toCatalogError } from './errors.ts';
import { SERVICE_LOCK } from './locks.ts';

/** A service that has just ended may still have it; so may one that is being looked at. */
const LOCK_TIMEOUT_MS = 3_000;
const LOOK_EVERY_MS = 100;
const RECONNECT_EVERY_MS = 1_000;

const TRY_LOCK = `select pg_try_advisory_lock(${SERVICE_LOCK.join()}) as "isHeld"`;
const READ_HOLDER = `select value from meta where key = 'holder'`;
const WRITE_HOLDER = `insert into meta (key, value) values ('holder', $1)
  on conflict (key) do update set value = excluded.value`;
/** They ended with the process that had the catalog before. */
const FORGET_NODES = 'delete from nodes; delete from claims';

export interface HoldOptions {
  connection: ClientConfig;
  /** Of the catalog, for people. */
  name: string;
  /** Another service has taken the catalog while the connection was lost. */
  onFailure: (error: CatalogError) => void;
}

export interface Hold {
  release(): Promise<void>;
}

/** A connection, and when it ends. */
interface Line {
  client: Client;
  lost: Promise<unknown>;
}

/** Takes the catalog, whose tables are there. @throws CatalogError `unavailable`, also where another service has it. */
export async function holdAlone({ connection, name, onFailure }: HoldOptions): Promise<Hold> {
  const holder = randomUUID();
  const released = new AbortController();
  let line = await connectFirst(connection, name, holder);

  /** Takes the lock again whenever the connection was lost. */
  async function keep(): Promise<void> {
    for (;;) {
      await line.lost;
      line = await takeAgain();
    }
  }

  async function takeAgain(): Promise<Line> {
    for (;;) {
      await sleep(RECONNECT_EVERY_MS, undefined, { signal: released.signal, ref: false });
      const next = await connect(connection).catch(() => undefined);
      if (!next) continue;
      if (await isOursStill(next.client)) return next;
      await next.client.end();
    }
  }

  /** Whether the lock is held again. Where it is not, the server may not have noticed yet that a connection was lost. */
  async function isOursStill(client: Client): Promise<boolean> {
    try {
      const isHeld = await tryLock(client);
      const [found] = (await client.query<{ value: string }>(READ_HOLDER)).rows;
      if (found?.value === holder) return isHeld;
    } catch {
      return false;
    }
    released.abort();
    onFailure(new CatalogError('unavailable', `the catalog ${name} was taken by another service`));
    return false;
  }

  // It ends by its pause being aborted.
  const keeping = keep().catch(() => undefined);
  return {
    release: async () => {
      released.abort();
      await line.client.end();
      await keeping;
    },
  };
}

async function connectFirst(connection: ClientConfig, name: string, holder: string): Promise<Line> {
  let line: Line | undefined;
  try {
    line = await connect(connection);
    await takeLock(line.client, name);
    await line.client.query(WRITE_HOLDER, [holder]);
    await line.client.query(FORGET_NODES);
    return line;
  } catch (error) {
    await line?.client.end();
    throw toCatalogError(error, name, true);
  }
}

async function connect(connection: ClientConfig): Promise<Line> {
  const client = new Client(connection);
  // Without a listener the process would end; 'end' comes in any case.
  client.on('error', () => undefined);
  const lost = new Promise((resolve) => client.once('end', resolve));
  await client.connect();
  return { client, lost };
}

async function tryLock(client: Client): Promise<boolean> {
  return (await client.query<{ isHeld: boolean }>(TRY_LOCK)).rows[0]?.isHeld === true;
}

async function takeLock(client: Client, name: string): Promise<void> {
  for (let waitedMs = 0; !(await tryLock(client)); waitedMs += LOOK_EVERY_MS) {
    if (waitedMs >= LOCK_TIMEOUT_MS)
      throw new CatalogError('unavailable', `the catalog ${name} is in use by another service`);
    await sleep(LOOK_EVERY_MS);
  }
}
