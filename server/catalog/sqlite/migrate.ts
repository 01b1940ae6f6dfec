/** Brings a database to the newest schema. */
import { CatalogError } from '../catalog.ts';
import type { Database } from './database.ts';
import { initial } from './migrations/0001-initial.ts';
import { storeState } from './migrations/0002-store-state.ts';

/** In order; a migration is never changed once landed. */
const MIGRATIONS = [initial, storeState];

/** Marks a database file as a Tidemark catalog: 'TIDE' in ASCII (SQLite: PRAGMA application_id). */
const APPLICATION_ID = 0x54494445;

/**
 * Applies the migrations that are missing, in one transaction. The number of those
 * applied is kept in `user_version`: it changes with the transaction, while Kysely's
 * Migrator, which takes SQLite's DDL for non-transactional, would apply them outside of one.
 *
 * @throws CatalogError `unavailable` when the schema is newer than this code, or
 *   the database is not a catalog.
 */
export function migrate(database: Database): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const version = database.pragma('user_version', { simple: true }) as number;
    const applicationId = database.pragma('application_id', { simple: true }) as number;
    const hasTables = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined;
    if (hasTables && applicationId !== APPLICATION_ID) {
      throw new CatalogError('unavailable', `${database.name} is a database of another program, not a catalog`);
    }
    if (version > MIGRATIONS.length) {
      throw new CatalogError(
        'unavailable',
        `the catalog ${database.name} has schema ${version}, and this version of the service knows ` +
          `schemas up to ${MIGRATIONS.length}: start the version that wrote it, or a newer one`,
      );
    }
    if (version < MIGRATIONS.length) {
      for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${MIGRATIONS.length}`);
    }
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
