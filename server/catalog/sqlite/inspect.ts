/** Inspects a catalog without changing it, and without disturbing a service that has it open. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CatalogError } from '../catalog.ts';
import type { Database } from './database.ts';
import { isInUse } from './errors.ts';
import { hasLog, type LogState, lookAtLog, readMetaOfFile } from './log-mark.ts';
import { FIRST_SCHEMA_WITH_ID, HEADER_BYTES, NEWEST_SCHEMA, readSchema, readSchemaOfHeader } from './migrate.ts';
import { openDatabase } from './connection.ts';
import { checkPlace } from './open.ts';
import { checkDatabase, describeLog, isOpenHere } from './settle-log.ts';

export interface CatalogState {
  /** `new`: there is no file yet. `in use`: a service has it open. `unclean`: no service has it open, and it was not closed. */
  state: 'new' | 'free' | 'in use' | 'unclean';
  /** The number of its schema; 0 where nothing is written yet. */
  schema: number;
  newestSchema: number;
}

/**
 * Checks whether a service could use the catalog, and which schema it has. A catalog that was closed is opened for a
 * moment and checked. Where there is a log, opening the database would apply it: then the files are only read.
 *
 * @throws CatalogError `unavailable`, saying why a service could not use it.
 */
export async function inspectSqliteCatalog(file: string): Promise<CatalogState> {
  await checkPlace(file);
  const header = await readHeader(file);
  if (header === undefined) return { state: 'new', schema: 0, newestSchema: NEWEST_SCHEMA };
  // Before it is opened: opening it would already change a database of another program.
  const known = { schema: readSchemaOfHeader(header, file) ?? 0, newestSchema: NEWEST_SCHEMA };
  if (hasLog(file)) {
    if (await isLocked(file)) return { state: 'in use', ...known };
    refuseLog(file, lookAtLog(file));
    return { state: 'unclean', ...known };
  }
  // Before this process opens the database: `lookAtLog` closes the file, which would drop the lock.
  const log = lookAtLog(file);
  try {
    const database = openDatabase(file);
    try {
      refuseLog(file, log);
      database.exec('BEGIN IMMEDIATE');
      const schema = readSchema(database);
      database.exec('ROLLBACK');
      await checkDatabase(database, file, () => undefined);
      return { state: 'free', schema, newestSchema: NEWEST_SCHEMA };
    } finally {
      database.close();
    }
  } catch (error) {
    if (isInUse(error)) return { state: 'in use', ...known };
    throw error;
  }
}

/** The catalog's id and the folder with which it was used, as of its last checkpoint; undefined without an id. */
export function readBelonging(file: string): { id: string; place: string | undefined } | undefined {
  const id = readMetaOfFile(file, 'id');
  return id === undefined ? undefined : { id, place: readMetaOfFile(file, 'place') };
}

/**
 * Whether a start would find this id in the catalog. It is not opened, as that would apply its log.
 *
 * @throws CatalogError `unavailable`, saying why a service could not use it.
 */
export async function mayHaveId(file: string, id: string): Promise<boolean> {
  if (isOpenHere(file)) return true;
  await checkPlace(file);
  const header = await readHeader(file);
  const schema = header && readSchemaOfHeader(header, file);
  // A start would give a new id to a new catalog, and to one from before catalogs had ids.
  if (schema === undefined || schema < FIRST_SCHEMA_WITH_ID) return false;
  return (readBelonging(file)?.id ?? id) === id;
}

/** @throws CatalogError `unavailable` where a start would refuse the log, or its absence. */
function refuseLog(file: string, log: LogState): void {
  const problem = describeLog(file, log);
  if (problem !== undefined) throw new CatalogError('unavailable', problem);
}

/**
 * Whether a service has the database open. Tries to open it by a hard link, beside which there is no log that SQLite would
 * apply; the lock is on the file, whatever its name. False where the file system has no hard links.
 */
async function isLocked(file: string): Promise<boolean> {
  const path = await realpath(file);
  const folder = join(dirname(path), `.doctor-${randomBytes(8).toString('hex')}`);
  let database: Database | undefined;
  await mkdir(folder, { mode: 0o700 });
  try {
    const other = join(folder, 'catalog');
    const linked = await link(path, other).then(
      () => true,
      () => false,
    );
    if (!linked) return false;
    database = openDatabase(other);
    return false;
  } catch (error) {
    if (isInUse(error)) return true;
    throw error;
  } finally {
    database?.close();
    await rm(folder, { recursive: true, force: true });
  }
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
