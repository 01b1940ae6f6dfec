/** Small JSON records in a folder of our own. A record is complete or absent, also after a crash or concurrent writes. */
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder of records, each in a file named by the digest of its key. */
export interface RecordFolder<T> {
  /** @returns null when there is no record, or it cannot be read. */
  read(key: readonly string[]): Promise<T | null>;
  /** All records that can be read. */
  list(): Promise<T[]>;
  /** Replaces the record. @throws when the folder cannot be written. */
  write(key: readonly string[], record: T): Promise<void>;
  /** Makes the record, unless there is one: of several processes that try, one succeeds. @throws as `write`. */
  claim(key: readonly string[], record: T): Promise<boolean>;
  remove(key: readonly string[]): Promise<void>;
  /**
   * Removes records, and unfinished files of killed processes, that were last written more than `maxAgeMs` ago.
   *
   * @param maxAgeOf - for records that may be kept longer: how long this one is.
   */
  prune(maxAgeMs: number, maxAgeOf?: (record: T) => number): Promise<void>;
}

/** The folder for state that must not get lost (XDG Base Directory Specification). */
export function stateFolder(): string {
  return join(baseFolder('XDG_STATE_HOME', ['.local', 'state']), 'tidemark');
}

/** The folder for data that can be computed again. */
export function cacheFolder(): string {
  return join(baseFolder('XDG_CACHE_HOME', ['.cache']), 'tidemark');
}

function baseFolder(variable: string, fallback: string[]): string {
  const value = process.env[variable];
  // The specification says to ignore a relative path.
  return value?.startsWith('/') === true ? value : join(homedir(), ...fallback);
}

/**
 * @param durable - whether a record must survive a power cut.
 */
export function createRecordFolder<T>(folder: string, options: { durable: boolean }): RecordFolder<T> {
  const pathOf = (key: readonly string[]): string =>
    join(folder, `${createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 40)}.json`);

  async function readAt(path: string): Promise<T | null> {
    try {
      return JSON.parse(await readFile(path, 'utf8')) as T;
    } catch {
      return null;
    }
  }

  async function list(): Promise<T[]> {
    const names = await readdir(folder).catch(() => []);
    const paths = names.filter((name) => name.endsWith('.json')).map((name) => join(folder, name));
    const records = await Promise.all(paths.map(readAt));
    return records.filter((record) => record !== null);
  }

  async function claim(key: readonly string[], record: T): Promise<boolean> {
    try {
      // Unlike a rename, it fails where there is a file.
      await writeAside(pathOf(key), record, { ...options, place: linkTo });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  async function remove(key: readonly string[]): Promise<void> {
    await rm(pathOf(key), { force: true }).catch(() => {});
  }

  async function prune(maxAgeMs: number, maxAgeOf?: (record: T) => number): Promise<void> {
    const names = await readdir(folder).catch(() => []);
    const now = Date.now();
    for (const name of names) {
      if (!name.endsWith('.json') && !name.endsWith('.tmp')) continue;
      const path = join(folder, name);
      const written = await stat(path).catch(() => null);
      if (!written || now - written.mtimeMs <= maxAgeMs) continue;
      const record = maxAgeOf && name.endsWith('.json') ? await readAt(path) : null;
      if (maxAgeOf && record && now - written.mtimeMs <= maxAgeOf(record)) continue;
      await rm(path, { force: true }).catch(() => {});
    }
  }

  return {
    read: (key) => readAt(pathOf(key)),
    list,
    write: (key, record) => writeAside(pathOf(key), record, { ...options, place: rename }),
    claim,
    remove,
    prune,
  };
}

async function linkTo(temporary: string, path: string): Promise<void> {
  await link(temporary, path);
  await rm(temporary, { force: true });
}

/** Writes the record to a file of its own, and has `place` give that its name. */
async function writeAside(
  path: string,
  record: unknown,
  { durable, place }: { durable: boolean; place: (temporary: string, path: string) => Promise<void> },
): Promise<void> {
  // Other users must not read the addresses of uploads: 0700 and 0600.
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(JSON.stringify(record));
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await place(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
