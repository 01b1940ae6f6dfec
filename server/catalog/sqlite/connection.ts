/** Connections to the database file: docs/decisions/0056-searches-and-the-main-thread.md. */
import { CatalogError } from '../catalog.ts';
import { Database } from './database.ts';
import { toCatalogError } from './errors.ts';

const LARGEST_IDLE_LOG_BYTES = 64 * 1024 * 1024;
/** For so long a lock is waited for that another process holds. */
export const LOCK_TIMEOUT_MS = 2_000;
/** A checkpoint syncs. Rarer checkpoints write a page once that was changed many times. */
export const PAGES_BETWEEN_CHECKPOINTS = 4_000;

/**
 * Opens and locks the database: for this connection alone, and no other in this process.
 *
 * @throws CatalogError `unavailable`.
 */
export function openDatabase(file: string): Database {
  return openLocked(file, (database) => {
    // In this order, SQLite holds the lock until the database is closed or the process exits, and needs no index in shared
    // memory.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
  });
}

/** A further connection of the process that has the database open. It only reads, and checkpoints. */
export function openBeside(file: string): Database {
  const database = new Database(file, { timeout: LOCK_TIMEOUT_MS, fileMustExist: true });
  database.pragma('query_only = ON');
  database.pragma('synchronous = NORMAL');
  return database;
}

/** Opens the database, lets `lock` lock it, and sets what holds for every connection that writes. @throws CatalogError. */
export function openLocked(file: string, lock: (database: Database) => void): Database {
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
