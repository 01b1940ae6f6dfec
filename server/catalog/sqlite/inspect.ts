/** A look at a catalog that changes nothing and disturbs nobody. */
import { open } from 'node:fs/promises';
import { CatalogError } from '../catalog.ts';
import { SqliteError } from './database.ts';
import { HEADER_BYTES, NEWEST_SCHEMA, readSchema, readSchemaOfHeader } from './migrate.ts';
import { checkPlace, openDatabase } from './open.ts';

export interface CatalogState {
  /** `new`: there is no file yet. `in use`: a service has it open. */
  state: 'new' | 'free' | 'in use';
  /** 0 where nothing was written yet. */
  schema: number;
  newestSchema: number;
}

/**
 * Opens the catalog as the service does, for a moment, and looks which schema it has. Where a
 * service has it open, its file alone is read.
 *
 * @throws CatalogError `unavailable`, saying why a service could not use it.
 */
export async function inspectSqliteCatalog(file: string): Promise<CatalogState> {
  await checkPlace(file);
  const header = await readHeader(file);
  if (header === undefined) return { state: 'new', schema: 0, newestSchema: NEWEST_SCHEMA };
  // Before it is opened: that alone would change a database of another program.
  const schema = readSchemaOfHeader(header, file) ?? 0;
  try {
    const database = openDatabase(file);
    try {
      database.exec('BEGIN IMMEDIATE');
      return { state: 'free', schema: readSchema(database), newestSchema: NEWEST_SCHEMA };
    } finally {
      database.close();
    }
  } catch (error) {
    if (isInUse(error)) return { state: 'in use', schema, newestSchema: NEWEST_SCHEMA };
    throw error;
  }
}

function isInUse(error: unknown): boolean {
  const cause = error instanceof CatalogError ? error.cause : error;
  return cause instanceof SqliteError && cause.code.startsWith('SQLITE_BUSY');
}

/** Undefined where there is no file. */
async function readHeader(path: string): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CatalogError('unavailable', `the catalog ${path} cannot be read: ${(error as Error).message}`, error);
  });
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
