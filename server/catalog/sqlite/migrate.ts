/** Brings a database to the newest schema. */
import { CatalogError } from '../catalog.ts';
import type { Database } from './database.ts';
import { initial } from './migrations/0001-initial.ts';
import { storeState } from './migrations/0002-store-state.ts';
import { meta } from './migrations/0003-meta.ts';
import { guards } from './migrations/0004-guards.ts';
import { withoutSha1 } from './migrations/0005-without-sha1.ts';
import { fewerPages } from './migrations/0006-fewer-pages.ts';
import { presence } from './migrations/0007-presence.ts';
import { events } from './migrations/0008-events.ts';
import { boots } from './migrations/0009-boots.ts';
import { removals } from './migrations/0010-removals.ts';

/** In order; a migration is never changed once landed. */
const MIGRATIONS = [initial, storeState, meta, guards, withoutSha1, fewerPages, presence, events, boots, removals];

/** Marks a database file as a Tidemark catalog: 'TIDE' in ASCII (SQLite: PRAGMA application_id). */
const APPLICATION_ID = 0x54494445;
/** Of a database file. */
export const HEADER_BYTES = 100;

/** The schema that this code writes. */
export const NEWEST_SCHEMA = MIGRATIONS.length;
/** From here on a catalog has an id. */
export const FIRST_SCHEMA_WITH_ID = 3;

/**
 * The schema of a database; 0 where it is empty.
 *
 * @throws CatalogError `unavailable` when the schema is newer than this code, or
 *   the database is not a catalog.
 */
export function readSchema(database: Database): number {
  const version = database.pragma('user_version', { simple: true }) as number;
  const applicationId = database.pragma('application_id', { simple: true }) as number;
  const hasTables = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined;
  checkSchema(database.name, version, !hasTables || applicationId === APPLICATION_ID);
  return version;
}

function checkSchema(file: string, version: number, isCatalog: boolean): void {
  if (!isCatalog) throw new CatalogError('unavailable', `${file} is a database of another program, not a catalog`);
  if (version <= NEWEST_SCHEMA) return;
  throw new CatalogError(
    'unavailable',
    `the catalog ${file} has schema ${version}, and this version of the service knows ` +
      `schemas up to ${NEWEST_SCHEMA}: start the version that wrote it, or a newer one`,
  );
}

/**
 * The schema of the database whose file begins with this header, as of its last checkpoint, which
 * every start makes; undefined where none was made yet. For a database that someone else has locked.
 * SQLite: "Database File Format", section 1.3.
 *
 * @throws CatalogError as `readSchema`.
 */
export function readSchemaOfHeader(header: Buffer, file: string): number | undefined {
  if (header.length < HEADER_BYTES) return undefined;
  if (header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
    throw new CatalogError('unavailable', `the catalog ${file} is not an SQLite database, or is damaged`);
  }
  const version = header.readUInt32BE(60);
  const applicationId = header.readUInt32BE(68);
  if (version === 0 && applicationId === 0) return undefined;
  checkSchema(file, version, applicationId === APPLICATION_ID);
  return version;
}

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
    const version = readSchema(database);
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
