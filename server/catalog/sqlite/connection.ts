/** Connections to the database file, and its lock: docs/decisions/0056-searches-and-the-main-thread.md. */
import { CatalogError } from '../catalog.ts';
import { Database } from './database.ts';
import { isInUse, toCatalogError } from './errors.ts';

const LARGEST_IDLE_LOG_BYTES = 64 * 1024 * 1024;
const LOCK_TIMEOUT_MS = 2_000;
/** A checkpoint syncs. Rarer checkpoints write a page once that was changed many times. */
export const PAGES_BETWEEN_CHECKPOINTS = 4_000;

/**
 * Opens and locks the database: for this connection alone, and no other in this process.
 *
 * @throws CatalogError `unavailable`.
 */
export function openDatabase(file: string): Database {
  return open(file, (database) => {
    // In this order, SQLite holds the lock until the database is closed or the process exits, and needs no index in shared
    // memory.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
  });
}

/**
 * Opens and locks the database for this process, which may have further connections to it. `takesReaders` is false where
 * the file system has no shared memory for the index of the log: then there can be no other connection.
 *
 * @throws CatalogError `unavailable`.
 */
export function openForService(file: string): { database: Database; takesReaders: boolean } {
  try {
    return { database: open(file, lockForProcess), takesReaders: true };
  } catch (error) {
    if (isInUse(error)) throw error;
    // Whatever is wrong with the file itself, this finds it, too.
    return { database: openDatabase(file), takesReaders: false };
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
  database.exec('BEGIN IMMEDIATE');
  // The lock is shared again when the transaction ends, without a moment between.
  database.pragma('locking_mode = NORMAL');
  database.exec('ROLLBACK');
}

/** A further connection of the process that has the database open. It only reads, and checkpoints. */
export function openBeside(file: string): Database {
  const database = new Database(file, { timeout: LOCK_TIMEOUT_MS });
  database.pragma('query_only = ON');
  database.pragma('synchronous = NORMAL');
  return database;
}

function open(file: string, lock: (database: Database) => void): Database {
  let database: Database | undefined;
  try {
    // Waits for a lock of the doctor, which is short. A service holds its lock for as long as it runs.
    database = new Database(file, { timeout: LOCK_TIMEOUT_MS });
    lock(database);
    database.pragma('foreign_keys = ON');
    // Nodes, claims and totals: see node-tables.ts and owner-totals.ts.
    database.pragma('temp_store = MEMORY');
    // SQLite does not sync commits; `durable()` does.
    database.pragma('synchronous = NORMAL');
    // After an unusually large transaction the log shrinks again.
    database.pragma(`journal_size_limit = ${LARGEST_IDLE_LOG_BYTES}`);
    database.pragma(`wal_autocheckpoint = ${PAGES_BETWEEN_CHECKPOINTS}`);
    return database;
  } catch (error) {
    if (!database)
      throw new CatalogError('unavailable', `the catalog ${file} cannot be opened: ${(error as Error).message}`, error);
    database.close();
    throw toCatalogError(error, file);
  }
}
