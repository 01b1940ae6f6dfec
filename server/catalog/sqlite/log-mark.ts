/**
 * Decides whether a log (`-wal`) belongs to its database. SQLite applies any log whose own checksums are right. A log of
 * another time, beside a database restored from a copy, would damage it; and a database whose log is missing is silently
 * older. So each generation of the log names the generation before, in a row (the mark) that the database has, too.
 * See docs/decisions/0019-catalog-and-folder-belong-together.md.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { type MetaTable, type ReadAt, readMetaPage, readMetaTable } from './database-file.ts';
import { readFrames } from './log-frames.ts';
import type { MetaKey } from '../catalog.ts';
import type { Database } from './database.ts';

/** A generation has some thousand pages, and a statement writes a few of them: so no generation ends without its mark. */
const LOOK_EVERY_WRITES = 64;

/** Key of the mark in `meta`. Its value: `<id of this generation> <id of the one before> <open or closed>`. */
const KEY = 'log';

interface Mark {
  own: string;
  before: string;
  isClosed: boolean;
}

/**
 * - `fits`: the log belongs to the database, or one of them has no mark that could be compared.
 * - `clean`: the database was closed, or is a copy that SQLite has made as a whole, and there is no log.
 * - `missing`: the database was not closed, and there is no log.
 * - `foreign`: the log is of another time, or of another database.
 */
export type LogState = 'fits' | 'clean' | 'missing' | 'foreign';

/**
 * Compares a database with its log, and changes neither. To be called before SQLite opens them. Where a service has them
 * open, the result may be wrong, as it may be writing just then.
 */
export function lookAtLog(file: string): LogState {
  const path = realPath(file);
  const base = withFile(path, (readAt) => readMetaTable(readAt));
  const mark = readMark(base?.rows);
  if (base === undefined && isEmpty(path) && !isEmpty(`${path}-wal`)) return 'foreign';
  // An older version wrote it, or nothing is written yet.
  if (!base || !mark) return 'fits';
  return withFile(`${path}-wal`, (readAt, size) => compare(readAt, size, base, mark)) ?? withoutLog(base, mark);
}

/** Reads a row of `meta` from the database file alone, without its log; undefined where there is none. */
export function readMetaOfFile(file: string, key: MetaKey | 'id'): string | undefined {
  return withFile(realPath(file), (readAt) => readMetaTable(readAt))?.rows.get(key);
}

/** Whether there is a log that is not empty. */
export function hasLog(file: string): boolean {
  return !isEmpty(`${realPath(file)}-wal`);
}

function isEmpty(path: string): boolean {
  return (withFile(path, (_, size) => size) ?? 0) === 0;
}

/** The file's real path, also where it does not exist yet: the log is beside the file, not beside a link to it. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function withoutLog({ usesLog }: MetaTable, { isClosed }: Mark): LogState {
  return isClosed || !usesLog ? 'clean' : 'missing';
}

function compare(readAt: ReadAt, size: number, base: MetaTable, mark: Mark): LogState {
  const frames = readFrames(readAt, size);
  if (!frames) return withoutLog(base, mark);
  let isSaid = false;
  for (const { page, bytes } of frames) {
    if (page !== base.page) continue;
    const found = readMark(readMetaPage(bytes));
    if (!found) continue;
    if (found.own === mark.own || (!isSaid && found.before === mark.own)) return 'fits';
    isSaid = true;
  }
  // A generation gets its mark before its first sync. One without a mark was never synced: no client got an answer that
  // depends on it.
  return isSaid ? 'foreign' : 'fits';
}

function readMark(rows: Map<string, string> | undefined): Mark | undefined {
  const [own = '', before = '', state] = rows?.get(KEY)?.split(' ') ?? [];
  return state === undefined ? undefined : { own, before, isClosed: state === 'closed' };
}

/** Calls `look` with the open file; undefined where there is no file. */
function withFile<T>(path: string, look: (readAt: ReadAt, size: number) => T): T | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const readAt: ReadAt = (position, length) => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
    };
    return look(readAt, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

/** Writes the marks of a database that is open. */
export interface LogMarker {
  /** Marks the log's generation. To be called at the opening, before anything else is committed. */
  markOpen(): void;
  /** Marks a generation that has begun meanwhile. To be called before each sync of the log. */
  beforeSync(): void;
  /**
   * To be called after each write. Marks a new generation where `beforeSync` could not, because a transaction was running,
   * or where no sync comes for long.
   */
  afterWrite(): void;
  /** Marks the database as closed, just before it is. @returns false where there is no room for the mark: its log has to stay. */
  markClosed(): boolean;
}

/**
 * Marks the generations of the log of a database that is open.
 *
 * @param logFd - a descriptor of the log.
 * @param onWrite - called when it has written to the log.
 */
export function createLogMarker(database: Database, logFd: number, onWrite: () => void): LogMarker {
  const read = database.prepare(`SELECT value FROM meta WHERE key = '${KEY}'`).pluck();
  const write = database.prepare(
    `INSERT INTO meta (key, value) VALUES ('${KEY}', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  );
  const salts = Buffer.alloc(8);
  const marked = Buffer.alloc(8);
  /** Look for a new generation when the running transaction has ended. */
  let isDue = false;
  let writes = 0;
  /** The database is being marked as closed: no later sync may mark it as open. */
  let isClosing = false;

  function mark({ own, before, isClosed }: Mark): boolean {
    try {
      write.run(`${own} ${before} ${isClosed ? 'closed' : 'open'}`);
      onWrite();
      return true;
    } catch {
      // The disk is full: the next commit that has room tries again.
      return false;
    }
  }

  function current(): { own: string; isClosed: boolean } {
    const [own = '', , state] = ((read.get() as string | undefined) ?? '').split(' ');
    return { own, isClosed: state === 'closed' };
  }

  function markOpen(): void {
    if (!mark({ own: randomBytes(8).toString('hex'), before: current().own, isClosed: false })) return;
    // Only now, as the first commit ever creates the log.
    readSync(logFd, marked, 0, marked.length, 16);
  }

  function lookForNewLog(): void {
    // Within a transaction the mark could be rolled back.
    isDue = database.inTransaction;
    if (isDue || isClosing) return;
    writes = 0;
    // A log that has no header yet: nothing was committed, so there is nothing to mark.
    if (readSync(logFd, salts, 0, salts.length, 16) < salts.length || salts.equals(marked)) return;
    markOpen();
  }

  return {
    markOpen,
    beforeSync: lookForNewLog,
    afterWrite: () => {
      if (!isDue && ++writes < LOOK_EVERY_WRITES) return;
      try {
        lookForNewLog();
      } catch {
        // The write itself has succeeded and must not be reported as failed: the next write or sync tries again.
        isDue = true;
      }
    },
    markClosed: () => {
      isClosing = true;
      const { own, isClosed } = current();
      // `isClosed`: it was never marked as open, as there was no room.
      if (isClosed || mark({ own, before: own, isClosed: true })) return true;
      try {
        // After a checkpoint the log begins again, in the room that it already has.
        database.pragma('wal_checkpoint(PASSIVE)');
      } catch {
        return false;
      }
      return mark({ own, before: own, isClosed: true });
    },
  };
}
