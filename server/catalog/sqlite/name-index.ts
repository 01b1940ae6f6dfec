/**
 * The index of what names contain, in a database of its own beside the catalog: FTS5 over the pieces of names. It is filled
 * after the commits, from the events of the catalog, so that no upload waits for it; a search indexes what is missing first.
 * All of it can be made anew from the catalog. Why: docs/decisions/0056-searches-and-the-main-thread.md.
 *
 * What must hold: a file is either indexed by the name that it has, or an event after the index's position says that it was
 * published or renamed. What is found may be stale: the search looks at the names themselves.
 */
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Database, SqliteError } from './database.ts';
import { type CatalogAsks, type FileRow, prepareCatalog } from './name-events.ts';
import { toPieces, toQuestion } from './name-pieces.ts';

/** Files, or events, of one transaction: a read waits for as long as it takes. */
const BATCH = 500;
/** How many batches a search waits for. */
const MOST_BATCHES = 2;
/** How long it waits for more events once it has all. */
const IDLE_MS = 1_000;
/** How long after a failure: of each try objects are kept (database.ts). */
const FAILED_MS = 60_000;
const LEAST_ROOM_BYTES = 64 * 1024 * 1024;
/** Of the pieces, and of this file's tables. Another one is made anew. */
const FORMAT = '2';

const TABLES = `
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS docs (doc INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE) STRICT;
CREATE VIRTUAL TABLE IF NOT EXISTS names USING fts5 (
  pieces, content = '', contentless_delete = 1, detail = none, tokenize = ascii
);
`;

/** An event: its number, and what it says, so that a catalog with another past is recognized. */
interface Mark {
  /** The number; 0 before the first one. */
  position: number;
  event: string;
}

/** How far the index has come. Its mark is the last event that is in it. */
interface State extends Mark {
  format: string;
  /** The catalog's id. */
  catalog: string;
  /** The last event when files were last read: they are as it left them, perhaps, also where the index is not so far. */
  seen: Mark;
  /** While it is made: the id of the last file that is in it. Null once it has all. */
  made: string | null;
}

export interface NameIndex {
  /** See `NameIndex` of the dialect: the ids of files. */
  find(owner: string, part: string, most: number): string[] | undefined;
  close(): void;
}

/**
 * Opens the index in `file`, and keeps it up to date with the catalog.
 *
 * @param tell - called with a sentence each time that it cannot be kept up to date.
 */
export function openNameIndex(
  file: string,
  catalog: Database,
  tell: (found: string) => void = () => undefined,
): NameIndex {
  let index: OpenIndex | undefined;
  /** Each is cleared by its own function: another one's would miscount what the event loop has to run. */
  let soon: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;
  let pauseMs = IDLE_MS;
  let isClosed = false;

  function current(): OpenIndex {
    if (!index && !existsSync(file)) requireRoom(file);
    return (index ??= open(file, catalog, tell));
  }

  /** @returns whether there is more to do. */
  function step(): boolean {
    try {
      requireRoom(file);
      const isBehind = current().step();
      pauseMs = IDLE_MS;
      return isBehind;
    } catch (error) {
      giveUp(error);
      return false;
    }
  }

  /** The next try begins anew where the file is damaged, and continues where the disk was full. */
  function giveUp(error: unknown): void {
    pauseMs = FAILED_MS;
    tell(describe(file, error));
    if (!isDamaged(error)) return;
    index?.close();
    index = undefined;
    try {
      remove(file);
    } catch {
      // The next try finds it damaged again.
    }
  }

  function work(): void {
    const isBehind = step();
    if (isClosed) return;
    // Requests come in between.
    if (isBehind) soon = setImmediate(work);
    else later = setTimeout(work, pauseMs);
  }
  soon = setImmediate(work);

  return {
    find(owner, part, most) {
      // It could not be opened: the next try comes later.
      if (!index && pauseMs === FAILED_MS) return undefined;
      try {
        const now = current();
        for (let batch = 0; batch < MOST_BATCHES && now.isMade && hasRoom(file) && now.step(); batch++);
        return now.find(owner, part, most);
      } catch (error) {
        giveUp(error);
        return undefined;
      }
    },
    close() {
      isClosed = true;
      clearImmediate(soon);
      clearTimeout(later);
      // What is left is done at the next start; after a day it would have to be made anew.
      for (let batch = 0; batch < MOST_BATCHES && step(); batch++);
      index?.close();
    },
  };
}

interface OpenIndex {
  readonly isMade: boolean;
  /** Indexes one batch. @returns whether there is more. */
  step(): boolean;
  find(owner: string, part: string, most: number): string[] | undefined;
  close(): void;
}

function open(file: string, catalog: Database, tell: (found: string) => void): OpenIndex {
  const database = openFile(file, tell);
  try {
    const progress = prepareProgress(database);
    const saved = progress.read();
    const asks = prepareCatalog(catalog);
    const first = saved && fits(saved, database, asks) ? saved : beginAnew(database, asks, progress);
    return createIndex(database, { asks, progress, first });
  } catch (error) {
    // Else its lock would keep the next try from opening it.
    database.close();
    throw error;
  }
}

/** Empties the index, which is then made of all files. */
function beginAnew(database: Database, asks: CatalogAsks, progress: Progress): State {
  return inTransaction(database, () => {
    database.exec(`DELETE FROM docs; INSERT INTO names (names) VALUES ('delete-all');`);
    const latest = asks.latest();
    return progress.save({ format: FORMAT, catalog: asks.id(), ...latest, seen: latest, made: '' });
  });
}

function inTransaction<Result>(database: Database, run: () => Result): Result {
  database.exec('BEGIN');
  try {
    const result = run();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function createIndex(
  database: Database,
  { asks, progress, first }: { asks: CatalogAsks; progress: Progress; first: State },
): OpenIndex {
  /** What is committed. */
  let state = first;
  const docOf = database.prepare('SELECT doc FROM docs WHERE file = ?').pluck();
  const addDoc = database.prepare('INSERT INTO docs (file) VALUES (?)');
  const removeDoc = database.prepare('DELETE FROM docs WHERE doc = ?');
  const addPieces = database.prepare('INSERT INTO names (rowid, pieces) VALUES (?, ?)');
  const removePieces = database.prepare('DELETE FROM names WHERE rowid = ?');
  const select = database
    .prepare('SELECT docs.file FROM names CROSS JOIN docs ON docs.doc = names.rowid WHERE names MATCH ? LIMIT ?')
    .pluck();

  /** @param now - the file as it is; undefined where there is none. */
  function put(file: string, now: FileRow | undefined): void {
    let doc = docOf.get(file) as number | bigint | undefined;
    if (doc !== undefined) removePieces.run(doc);
    if (doc !== undefined && !now) removeDoc.run(doc);
    if (!now) return;
    doc ??= addDoc.run(file).lastInsertRowid;
    addPieces.run(doc, toPieces(now.owner, now.folded));
  }

  function advance(run: () => State): void {
    state = inTransaction(database, () => progress.save(run()));
  }

  return {
    get isMade() {
      return state.made === null;
    },

    step() {
      if (state.made !== null) {
        const files = asks.filesAfter(state.made, BATCH);
        advance(() => {
          for (const row of files) put(row.id, row);
          return { ...state, seen: asks.latest(), made: files.length < BATCH ? null : (files.at(-1)?.id ?? null) };
        });
        return true;
      }
      const events = asks.eventsAfter(state.position, BATCH);
      // Asked last: what is not forgotten now was not forgotten when the events were read.
      if (asks.forgotAfter(state.position)) {
        state = beginAnew(database, asks, progress);
        return true;
      }
      const last = events.at(-1);
      if (!last) return false;
      advance(() => {
        for (const id of new Set(events.map(({ fileId }) => fileId))) put(id, asks.file(id));
        return { ...state, position: last.number, event: last.event, seen: asks.latest() };
      });
      return events.length === BATCH;
    },

    find(owner, part, most) {
      if (state.made !== null) return undefined;
      const late = asks.changedAfter(state.position, owner, most + 1);
      // Of one file there may be many events, so so many of them say nothing of the others.
      if (late.length > most || asks.forgotAfter(state.position)) return undefined;
      const found = select.all(toQuestion(owner, part), most + 1) as string[];
      const all = new Set([...found, ...late]);
      return all.size > most ? undefined : [...all];
    },

    close: () => database.close(),
  };
}

/**
 * Whether the index is of this catalog, and of its past: a catalog that was restored, or has lost its end by a power cut, has
 * other events by the same numbers. Where the last event that the index knows is forgotten, nothing must have happened since.
 */
function fits(saved: State, database: Database, asks: CatalogAsks): boolean {
  const { format, catalog, position, event, seen, made } = saved;
  if (format !== FORMAT || catalog !== asks.id() || asks.forgotAfter(position)) return false;
  // What a power cut has undone would not be indexed by its old name again.
  if (seen.position > position && asks.event(seen.position) !== seen.event) return false;
  const found = asks.event(position);
  if (found !== undefined) return found === event;
  if (made !== null || asks.latest().position !== position) return false;
  return database.prepare('SELECT count(*) FROM docs').pluck().get() === asks.countFiles();
}

function openFile(file: string, tell: (found: string) => void): Database {
  try {
    return tryOpen(file);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    tell(describe(file, error));
    remove(file);
    return tryOpen(file);
  }
}

function tryOpen(file: string): Database {
  const database = new Database(file);
  try {
    // Only this thread uses it. So there is no index of the log in shared memory.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    // A power cut takes it back to an earlier state, and damages nothing.
    database.pragma('synchronous = NORMAL');
    database.exec(TABLES);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The last room is the catalog's. */
function hasRoom(file: string): boolean {
  const { bavail, bsize } = statfsSync(dirname(file));
  return bavail * bsize >= LEAST_ROOM_BYTES;
}

/** @throws Error where there is none. */
function requireRoom(file: string): void {
  if (!hasRoom(file)) throw new Error(`its disk has less than ${LEAST_ROOM_BYTES / 1024 / 1024} MiB free`);
}

/** For the log of the service. */
function describe(file: string, error: unknown): string {
  const { message } = error as Error;
  const reason = error instanceof SqliteError ? `${error.code}: ${message}` : message;
  const next = isDamaged(error) ? 'it is made anew' : 'it is tried again every minute';
  return `the index of names ${file} cannot be kept up to date (${reason}): ${next}, and meanwhile searches take longer`;
}

function isDamaged(error: unknown): boolean {
  return error instanceof SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}

function remove(file: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true });
}

/** Where the index says how far it has come. */
interface Progress {
  read(): State | undefined;
  save(state: State): State;
}

function prepareProgress(database: Database): Progress {
  const select = database.prepare(`SELECT value FROM state WHERE key = 'state'`).pluck();
  const upsert = database.prepare(
    `INSERT INTO state (key, value) VALUES ('state', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  );
  return {
    read() {
      const value = select.get() as string | undefined;
      return value === undefined ? undefined : (JSON.parse(value) as State);
    },
    save(state) {
      upsert.run(JSON.stringify(state));
      return state;
    },
  };
}
