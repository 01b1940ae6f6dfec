/**
 * A catalog that no service has open, read without changing it: not its file, nor its log, nor what is beside them.
 * SQLite would bring the log in, and make one where there is none. So both files are copied, and the copy is opened:
 * that brings it up to date, too.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants, link, mkdtemp, open, readdir, realpath, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CatalogError } from '../catalog.ts';
import type { CatalogCopy } from '../catalogs.ts';
import { READ_VERSION_AT, WITH_LOG } from './database-file.ts';
import type { Database } from './database.ts';
import { isInUse } from './errors.ts';
import { lookAtLog } from './log-mark.ts';
import { HEADER_BYTES, readSchemaOfHeader } from './migrate.ts';
import { openDatabase } from './connection.ts';
import { openSqliteCatalog } from './open.ts';
import { describeLog } from './settle-log.ts';

const CHUNK_BYTES = 1024 * 1024;
const PRIVATE = 0o600;

/** What is closed, in reverse order, also when a later step fails. */
type Closers = (() => Promise<unknown> | void)[];

/**
 * Copies the catalog in `file` to the folder for temporary files (TMPDIR), and keeps services from opening it until it is closed.
 *
 * @throws CatalogError `unavailable`, saying why it cannot be used; `full` where there is no room for the copy.
 */
export async function copySqliteCatalog(file: string): Promise<CatalogCopy> {
  const path = await realpath(file).catch((error: unknown) => {
    throw new CatalogError('unavailable', `the catalog ${file} cannot be read: ${(error as Error).message}`, error);
  });
  const closers: Closers = [];
  async function close(): Promise<void> {
    for (const closing of closers.splice(0).reverse()) await closing();
  }
  try {
    return { ...(await openCopy(path, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openCopy(path: string, closers: Closers): Promise<Omit<CatalogCopy, 'close'>> {
  const before = await identify(path);
  // Before it is locked: closing one of its files drops this process's locks on it.
  const problem = describeLog(path, lookAtLog(path));
  const sources: [suffix: string, file: FileHandle][] = [];
  for (const suffix of ['', '-wal']) {
    const found = await openToRead(path + suffix, suffix === '');
    if (!found) continue;
    closers.push(() => found.close());
    sources.push([suffix, found]);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  const { bytesRead } = (await sources[0]?.[1].read(header, 0, HEADER_BYTES, 0)) ?? { bytesRead: 0 };
  readSchemaOfHeader(header.subarray(0, bytesRead), path);
  const name = `tidemark-move-${createHash('sha256').update(path).digest('hex').slice(0, 16)}-`;
  // Without a log SQLite would make the database one that has one.
  const lock = header[READ_VERSION_AT] === WITH_LOG ? await lockByOtherName(path, name) : undefined;
  if (lock) closers.push(lock.release);
  if (problem !== undefined) throw new CatalogError('unavailable', problem);
  const { copy, fingerprint } = await copyFiles(path, { name, sources, isAlone: lock !== undefined }, closers);

  async function requireUnchanged(): Promise<void> {
    if ((await identify(path)) === before) return;
    const why = 'was changed while it was read: stop the service that uses it, and begin again';
    throw new CatalogError('unavailable', `the catalog ${path} ${why}`);
  }

  await requireUnchanged();
  const catalog = await openSqliteCatalog({ file: copy });
  closers.push(() => catalog.close());
  return { catalog, fingerprint, requireUnchanged };
}

async function copyFiles(
  path: string,
  { name, sources, isAlone }: { name: string; sources: [string, FileHandle][]; isAlone: boolean },
  closers: Closers,
): Promise<{ copy: string; fingerprint: string }> {
  // Of those that were killed: with the lock held nobody uses them.
  if (isAlone) await removeLeft(tmpdir(), name);
  const folder = await mkdtemp(join(tmpdir(), name));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const copy = join(folder, 'catalog.db');
  try {
    const hash = createHash('sha256');
    for (const [suffix, file] of sources) await copyBytes(file, copy + suffix, hash);
    return { copy, fingerprint: hash.digest('hex') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    const why = `there is no room in ${tmpdir()} for a copy of the catalog ${path}: TMPDIR may name another folder`;
    throw new CatalogError('full', why, error);
  }
}

async function copyBytes(from: FileHandle, path: string, hash: Hash): Promise<void> {
  const to = await open(path, 'wx', PRIVATE);
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; ;) {
      const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      const bytes = buffer.subarray(0, bytesRead);
      hash.update(bytes);
      await to.writeFile(bytes);
      at += bytesRead;
    }
  } finally {
    await to.close();
  }
}

/**
 * Locks the database by another name of it, beside which there is no log to bring in: the lock is on the file,
 * whatever its name.
 *
 * @returns undefined where it cannot have another name: on a file system without them, or one that is only read.
 * @throws CatalogError `unavailable` where a service has it open.
 */
async function lockByOtherName(path: string, name: string): Promise<{ release: () => Promise<void> } | undefined> {
  for (const parent of [tmpdir(), dirname(path)]) {
    const folder = await mkdtemp(join(parent, `.${name}`)).catch(() => undefined);
    if (folder === undefined) continue;
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
    let database: Database;
    try {
      const other = join(folder, 'catalog');
      const linked = await link(path, other).then(
        () => true,
        () => false,
      );
      if (!linked) {
        await remove();
        continue;
      }
      database = openDatabase(other);
    } catch (error) {
      await remove();
      if (!isInUse(error)) throw error;
      const why = 'is in use by a service: stop it first, so that nothing changes meanwhile';
      throw new CatalogError('unavailable', `the catalog ${path} ${why}`, error);
    }
    for (const left of [tmpdir(), dirname(path)]) await removeLeft(left, `.${name}`, folder);
    return {
      release: async () => {
        database.close();
        await remove();
      },
    };
  }
  return undefined;
}

/** Removes what moves of this catalog have left that were killed. */
async function removeLeft(parent: string, name: string, kept?: string): Promise<void> {
  const found = await readdir(parent).catch(() => []);
  for (const each of found) {
    const path = join(parent, each);
    if (!each.startsWith(name) || path === kept) continue;
    // In a folder that all share it may be somebody else's.
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function openToRead(path: string, isNeeded: boolean): Promise<FileHandle | undefined> {
  return open(path, constants.O_RDONLY).catch((error: unknown) => {
    if (!isNeeded && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CatalogError('unavailable', `the catalog ${path} cannot be read: ${(error as Error).message}`, error);
  });
}

/** What changes whenever a service writes to the catalog. */
async function identify(path: string): Promise<string> {
  const found = await Promise.all(
    ['', '-wal'].map((suffix) => stat(path + suffix, { bigint: true }).catch(() => undefined)),
  );
  return JSON.stringify(found.map((file) => file && [file.ino, file.size, file.mtimeNs].map(String)));
}
