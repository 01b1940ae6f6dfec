/** Opens and locks the database for a service: docs/decisions/0056-searches-and-the-main-thread.md. */
import { realpath, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { CatalogError } from '../catalog.ts';
import { LOCK_TIMEOUT_MS, openDatabase, openLocked } from './connection.ts';
import { Database } from './database.ts';
import { isInUse } from './errors.ts';
import { createReserve, type Reserve } from './reserve.ts';
import { runWithReserve } from './with-reserve.ts';

/** How long one try asks for the lock of the file alone: by chance, as another service may be trying, too. */
const SHORTEST_TRY_MS = 50;
const LONGEST_TRY_MS = 250;
const LONGEST_PAUSE_MS = 50;
/**
 * Btrfs and bcachefs (linux/magic.h), which store a changed page in another place. On a full disk there is none, and the kernel
 * ends a process that changes memory that is shared over a file (SIGBUS), though the file has all its room.
 */
const STORES_ANEW: ReadonlySet<number> = new Set([0x9123683e, 0xca451a4e]);

/** The database of a service. */
export interface ServiceDatabase {
  database: Database;
  /** Its real path: its log, index and reserve are beside the file itself, not beside a link to it. */
  path: string;
  reserve: Reserve;
  /** Whether this process can have further connections to it. */
  takesReaders: boolean;
}

/**
 * Opens and locks the database for this process, which may have further connections to it. Where memory cannot be shared over
 * the index of the log, there can be no other connection; `tell` is told so.
 *
 * @throws CatalogError `unavailable`.
 */
export async function openForService(file: string, tell: (found: string) => void): Promise<ServiceDatabase> {
  const shared = (await storesAnew(file)) ? undefined : await tryShared(file);
  if (shared instanceof Database)
    return { database: shared, path: await realpath(file), reserve: await reserveOf(file), takesReaders: true };
  // Whatever is wrong with the file itself, this finds it, too.
  const database = openDatabase(file);
  const path = await realpath(file);
  // What a try, or an earlier start, has left of the index takes room. The lock is held alone: nobody uses it.
  await rm(`${path}-shm`, { force: true });
  tell(describe(file, shared));
  return { database, path, reserve: await reserveOf(file), takesReaders: false };
}

/** @returns the error of a file system without shared memory for the index of the log, or without room for it. */
async function tryShared(file: string): Promise<Database | CatalogError> {
  // Where the disk is full, the index of the log needs room of the reserve. That is asked for before the lock is held alone, but only
  // where there is no index yet; so no service has the database open.
  const giveBack = () =>
    reserveOf(file).then(
      (reserve) => reserve.giveBack(),
      () => false,
    );
  try {
    return await runWithReserve({ giveBack }, () => openShared(file));
  } catch (error) {
    if (isInUse(error)) throw error;
    return error as CatalogError;
  }
}

/** Whether the file system is one of those that store changed pages anew. */
async function storesAnew(file: string): Promise<boolean> {
  const { type } = await statfs(dirname(await realpath(file).catch(() => file)));
  return STORES_ANEW.has(type);
}

async function reserveOf(file: string): Promise<Reserve> {
  return createReserve(`${await realpath(file)}-reserve`);
}

function describe(file: string, problem: CatalogError | undefined): string {
  const effect = 'searches take longer, and they and checkpoints hold up uploads';
  if (!problem)
    return (
      `the catalog ${file} is on Btrfs or bcachefs, where a full disk ends processes that share memory over a file, so ` +
      `${effect}: DATABASE_URL may name a file on another file system`
    );
  if (problem.code === 'full')
    return `the disk of the catalog ${file} has no room for the index of its log: until the next start with room, ${effect}`;
  return `the file system of the catalog ${file} shares no memory between connections: ${effect}`;
}

/**
 * Of services that start at the same instant each keeps the others from having the lock alone, until it gives up. So each gives up
 * after another time, and tries again.
 */
async function openShared(file: string): Promise<Database> {
  for (const end = performance.now() + LOCK_TIMEOUT_MS; ;) {
    try {
      return openLocked(file, lockForProcess);
    } catch (error) {
      if (!isInUse(error) || performance.now() >= end) throw error;
    }
    await wait(Math.random() * LONGEST_PAUSE_MS);
  }
}

/**
 * An open log keeps a shared lock of the file, whatever its name. It is asked for alone once: so nobody else has one. From then on
 * nobody can get it alone, as each service has to.
 */
function lockForProcess(database: Database): void {
  database.pragma('journal_mode = WAL');
  // The log is open from the first read on. Were it opened with the lock held alone, it would have its index in this
  // connection's memory.
  database.prepare('SELECT 1 FROM sqlite_schema').get();
  database.pragma('locking_mode = EXCLUSIVE');
  const tryMs = SHORTEST_TRY_MS + Math.random() * (LONGEST_TRY_MS - SHORTEST_TRY_MS);
  database.pragma(`busy_timeout = ${Math.round(tryMs)}`);
  database.exec('BEGIN IMMEDIATE');
  // The lock is shared again when the transaction ends, without a moment between.
  database.pragma('locking_mode = NORMAL');
  database.exec('ROLLBACK');
  database.pragma(`busy_timeout = ${LOCK_TIMEOUT_MS}`);
}
