/** Brings a database to the newest schema. */
import { foldName } from '../../wire/fold-name.ts';
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
import { partials } from './migrations/0011-partials.ts';
import { expectedSize } from './migrations/0012-expected-size.ts';
import { proofs } from './migrations/0013-proofs.ts';
import { foldedNames } from './migrations/0014-folded-names.ts';
import { links } from './migrations/0015-links.ts';
import { folders } from './migrations/0016-folders.ts';
import { trash } from './migrations/0017-trash.ts';
import { linkFolders } from './migrations/0018-link-folders.ts';
import { uploadLinks } from './migrations/0019-upload-links.ts';

/** In order; a migration is never changed once landed. */
const MIGRATIONS = [
  initial,
  storeState,
  meta,
  guards,
  withoutSha1,
  fewerPages,
  presence,
  events,
  boots,
  removals,
  partials,
  expectedSize,
  proofs,
  foldedNames,
  links,
  folders,
  trash,
  linkFolders,
  uploadLinks,
];

/** Marks a database file as a Tidemark catalog: 'TIDE' in ASCII (SQLite: PRAGMA application_id). */
const APPLICATION_ID = 0x54494445;
/** Length of the header of a database file. */
export const HEADER_BYTES = 100;

/** The schema that this code writes. */
export const NEWEST_SCHEMA = MIGRATIONS.length;
/** The first schema in which a catalog has an id. */
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
 * Reads the schema from the header of a database file, for a database that another process has locked. It is the schema
 * of the last checkpoint; every start makes one. SQLite: "Database File Format", section 1.3.
 *
 * @returns undefined where no checkpoint was made yet.
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
 * Applies the missing migrations in one transaction. `user_version` is the number of applied migrations, and changes with
 * that transaction. Not by Kysely's Migrator, which would run them outside of a transaction, as it assumes that SQLite's
 * DDL is not transactional.
 *
 * @throws CatalogError `unavailable` when the schema is newer than this code, or
 *   the database is not a catalog.
 */
export function migrate(database: Database): void {
  database.function('fold_name', { deterministic: true }, (name) => foldName(String(name)));
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
