/** Translates SQLite's errors. */
import { CatalogError } from '../catalog.ts';
import { SqliteError } from './database.ts';

/** Primary result codes which mean that the whole database cannot be used. */
const UNAVAILABLE: Record<string, string> = {
  SQLITE_BUSY: 'is in use by another service',
  SQLITE_LOCKED: 'is in use by another service',
  SQLITE_CANTOPEN: 'cannot be opened',
  SQLITE_READONLY: 'is not writable',
  SQLITE_PERM: 'is not accessible',
  SQLITE_IOERR: 'cannot be read or written',
  SQLITE_CORRUPT: 'is damaged',
  SQLITE_NOTADB: 'is not an SQLite database, or is damaged',
};

/** Translates an error of better-sqlite3 on this file; a CatalogError stays as it is. */
export function toCatalogError(error: unknown, file: string): CatalogError {
  if (error instanceof CatalogError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof SqliteError)) {
    return new CatalogError('failed', `the catalog ${file} failed: ${message}`, error);
  }
  // SQLITE_IOERR_FSYNC, SQLITE_READONLY_DIRECTORY …: the primary code, then a detail.
  const primary = /^SQLITE_[A-Z]+/.exec(error.code)?.[0] ?? error.code;
  // The index of the log is a file, too. SQLite does not say why it could not grow.
  if (primary === 'SQLITE_FULL' || error.code === 'SQLITE_IOERR_SHMSIZE') {
    return new CatalogError('full', `the catalog ${file} has no room left`, error);
  }
  const reason = UNAVAILABLE[primary];
  if (reason) {
    return new CatalogError('unavailable', `the catalog ${file} ${reason} (${error.code}: ${message})`, error);
  }
  return new CatalogError('failed', `the catalog ${file} failed (${error.code}: ${message})`, error);
}

/** Whether another process has the database locked. */
export function isInUse(error: unknown): boolean {
  const cause = error instanceof CatalogError ? error.cause : error;
  return cause instanceof SqliteError && cause.code.startsWith('SQLITE_BUSY');
}
