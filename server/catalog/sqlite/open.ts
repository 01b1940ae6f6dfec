/** The catalog in an SQLite file, which one service at a time may have open. */
import { stat } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { Kysely } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Catalog } from '../catalog.ts';
import { createCatalog } from '../create-catalog.ts';
import type { Tables } from '../schema.ts';
import { createSqliteDialect } from './driver.ts';
import { openWalSyncer } from './durable.ts';
import { toCatalogError } from './errors.ts';
import { migrate } from './migrate.ts';

/**
 * Opens the catalog in `file`, which is created where it is missing.
 *
 * @throws CatalogError `unavailable`, saying why: in use by another service,
 *   damaged, not writable, of a newer version.
 */
export async function openSqliteCatalog({ file }: { file: string }): Promise<Catalog> {
  await refuseFolder(file);
  const database = openDatabase(file);
  try {
    const syncer = await openWalSyncer(file);
    const db = new Kysely<Tables>({ dialect: createSqliteDialect(database) });
    return createCatalog(db, {
      durable: syncer.sync,

      async ping() {
        const failure = syncer.failure();
        if (failure) throw failure;
        await db.selectFrom('uploads').select('id').limit(1).execute();
      },

      async close() {
        // Also when syncing fails: the lock must not outlive the catalog.
        await syncer.close().finally(() => database.close());
      },
    });
  } catch (error) {
    database.close();
    throw toCatalogError(error, file);
  }
}

/**
 * Opens and locks the database, and brings its schema up to date.
 *
 * @throws CatalogError `unavailable`.
 */
export function openDatabase(file: string): Database.Database {
  let database: Database.Database | undefined;
  try {
    // Whoever holds the lock keeps it for as long as it runs: no use in waiting.
    database = new Database(file, { timeout: 0 });
    // In this order: the lock is then held until the database is closed or the
    // process ends, however it ends, and no index in shared memory is needed.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    database.pragma('foreign_keys = ON');
    // Commits are not synced by SQLite but by `durable()`.
    database.pragma('synchronous = NORMAL');
    migrate(database);
    // Whatever an earlier process left in the log goes into the database, synced.
    database.pragma('wal_checkpoint(TRUNCATE)');
    return database;
  } catch (error) {
    database?.close();
    throw toCatalogError(error, file);
  }
}

async function refuseFolder(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) {
    throw new CatalogError('unavailable', `the catalog ${file} cannot be opened: it is a folder`);
  }
}
