/**
 * Whether a log (`-wal`) belongs to its database. SQLite applies any log whose checksums are right in themselves: that
 * of another time, beside a copy that was restored, would damage the database; and without its log a database is
 * silently older. So each generation of the log says which one it follows, in a row that the database has, too.
 * See docs/decisions/0019-catalog-and-folder-belong-together.md.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { type ReadAt, readMetaPage, readMetaTable } from './database-file.ts';
import { readFrames } from './log-frames.ts';
import type { MetaKey } from '../catalog.ts';
import type { Database } from './database.ts';

/** A generation has some thousand pages, and a statement writes a few of them: none ends without its mark. */
const LOOK_EVERY_WRITES = 64;

/** Key of the row: `<id of this generation> <id of the one before> <open or closed>`. */
const KEY = 'log';

interface Mark {
  own: string;
  before: string;
  isClosed: boolean;
}

/**
 * - `fits`: it belongs to the database, or there is nothing to say about it.
 * - `clean`: the database was closed, there is none.
 * - `missing`: the database was not closed, and there is none.
 * - `foreign`: it is that of another time, or of another database.
 */
export type LogState = 'fits' | 'clean' | 'missing' | 'foreign';

/**
 * Looks at a database and its log, and changes neither. To be asked before SQLite opens them; where a service has
 * them open, what it writes just then may show.
 */
export function lookAtLog(file: string): LogState {
  const path = realPath(file);
  const base = withFile(path, (readAt) => readMetaTable(readAt));
  const mark = readMark(base?.rows);
  if (base === undefined && isEmpty(path) && !isEmpty(`${path}-wal`)) return 'foreign';
  // Of an older version, or nothing was written yet.
  if (!base || !mark) return 'fits';
  return withFile(`${path}-wal`, (readAt, size) => compare(readAt, size, base, mark)) ?? withoutLog(mark);
}

/** A row of `meta` as the database file alone has it; undefined where there is none. */
export function readMetaOfFile(file: string, key: MetaKey | 'id'): string | undefined {
  return withFile(realPath(file), (readAt) => readMetaTable(readAt))?.rows.get(key);
}

/** Whether there is a log with something in it. */
export function hasLog(file: string): boolean {
  return !isEmpty(`${realPath(file)}-wal`);
}

function isEmpty(path: string): boolean {
  return (withFile(path, (_, size) => size) ?? 0) === 0;
}

/** Where the file is, or will be: its log is beside it, not beside a link to it. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function withoutLog({ isClosed }: Mark): LogState {
  return isClosed ? 'clean' : 'missing';
}

function compare(readAt: ReadAt, size: number, base: { pageBytes: number; page: number }, mark: Mark): LogState {
  const frames = readFrames(readAt, size);
  if (!frames) return withoutLog(mark);
  let isSaid = false;
  for (const { page, bytes } of frames) {
    if (page !== base.page) continue;
    const found = readMark(readMetaPage(bytes));
    if (!found) continue;
    if (found.own === mark.own || (!isSaid && found.before === mark.own)) return 'fits';
    isSaid = true;
  }
  // A generation says it before it is synced for the first time: one that does not is of a crash before, and nothing
  // in it was told to anyone.
  return isSaid ? 'foreign' : 'fits';
}

function readMark(rows: Map<string, string> | undefined): Mark | undefined {
  const [own = '', before = '', state] = rows?.get(KEY)?.split(' ') ?? [];
  return state === undefined ? undefined : { own, before, isClosed: state === 'closed' };
}

/** Undefined where there is no file. */
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

export interface LogMarker {
  /** Says in the log which generation it is: at the opening, before anything else is committed. */
  markOpen(): void;
  /** Before the log is synced: marks a generation that has begun since. */
  beforeSync(): void;
  /** After each write: writes the mark where `beforeSync` could not, within a transaction, or where no sync comes for long. */
  afterWrite(): void;
  /** Marks the database as closed, before it is. False where there is no room for the mark: then its log has to stay. */
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
  /** The log is to be looked at when the transaction that is under way ends. */
  let isDue = false;
  let writes = 0;
  /** The database is marked as closed: no later sync may mark it as open. */
  let isClosing = false;

  function mark({ own, before, isClosed }: Mark): boolean {
    try {
      write.run(`${own} ${before} ${isClosed ? 'closed' : 'open'}`);
      onWrite();
      return true;
    } catch {
      // A full disk: the next commit that has room comes here again.
      return false;
    }
  }

  function current(): { own: string; isClosed: boolean } {
    const [own = '', , state] = ((read.get() as string | undefined) ?? '').split(' ');
    return { own, isClosed: state === 'closed' };
  }

  function markOpen(): void {
    if (!mark({ own: randomBytes(8).toString('hex'), before: current().own, isClosed: false })) return;
    // With the first commit of all there is a log only now.
    readSync(logFd, marked, 0, marked.length, 16);
  }

  function lookForNewLog(): void {
    // Within a transaction the mark could be rolled back.
    isDue = database.inTransaction;
    if (isDue || isClosing) return;
    writes = 0;
    // Without a log nothing was committed: what came here has changed nothing.
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
      // It was never marked as open, for want of room.
      if (isClosed || mark({ own, before: own, isClosed: true })) return true;
      try {
        // The log begins anew in the room that it has.
        database.pragma('wal_checkpoint(PASSIVE)');
      } catch {
        return false;
      }
      return mark({ own, before: own, isClosed: true });
    },
  };
}
