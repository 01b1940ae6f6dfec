/** The catalog in an SQLite file, which one service at a time may have open. */
import { access, constants, realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CompiledQuery, Kysely } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Catalog, ClockNews, MetaKey } from '../catalog.ts';
import { createCatalog, type DialectMethods } from '../create-catalog.ts';
import type { Quota } from '../quotas.ts';
import type { Tables } from '../schema.ts';
import { withQuotas } from '../with-quotas.ts';
import { type ClockSource, createClock } from './clock.ts';
import { createSqlClock } from './sql-clock.ts';
import { type Checkpoints, createCheckpoints } from './checkpoints.ts';
import { openForService, type ServiceDatabase } from './open-for-service.ts';
import type { Database } from './database.ts';
import { createNameIndex, sqliteQueries } from './dialect.ts';
import { createSqliteDialect, type Watch } from './driver.ts';
import { openWalSyncer, type Syncer } from './durable.ts';
import { toCatalogError } from './errors.ts';
import { migrate } from './migrate.ts';
import { createLogMarker, hasLog, type LogMarker } from './log-mark.ts';
import { checkDatabase, openHere, settleLog } from './settle-log.ts';
import { createNodeTables } from './node-tables.ts';
import { keepTotals } from './owner-totals.ts';
import { sqliteQuotas } from './quotas.ts';
import { createReader, type Reader } from './reader.ts';
import { runWithReserve, withReserve } from './with-reserve.ts';

/** With less free space, writes that can wait are refused. */
const LEAST_ROOM_BYTES = 1024 * 1024;

export interface SqliteCatalogOptions {
  file: string;
  /**
   * Called when the log could not be synced: nobody knows which of it is on the disk. From then on, the catalog refuses
   * all reads and writes. The process has to exit; the next start checks what is on the disk.
   */
  onFailure?: (error: CatalogError) => void;
  /** `--adopt`: continue without the log where it does not belong to the database, or is missing. */
  adopt?: boolean;
  /** Called with a sentence for each finding at the opening, and later once for each kind of failure beside the main thread. */
  tell?: (found: string) => void;
  /** The machine's clocks, for the catalog's clock. */
  time?: ClockSource;
  /** See clock.ts. */
  believeAfterMs?: number;
  /** Called with what the catalog's clock finds out about the machine's. */
  tellOfClock?: (news: ClockNews) => void;
  /** Left out: nobody has a quota. */
  quotaOf?: ((owner: string) => Quota) | undefined;
  /** For tests: several nodes of one process share the catalog, and count as dead without heartbeats. */
  isShared?: boolean;
}

/**
 * Opens the catalog in `file`, and creates it where it is missing.
 *
 * @throws CatalogError `unavailable`, saying why: another service has it open, or it is damaged, not writable, or of a
 *   newer version.
 */
export async function openSqliteCatalog(options: SqliteCatalogOptions): Promise<Catalog> {
  const { file, onFailure = () => undefined, tell = () => undefined } = options;
  await checkPlace(file);
  const log = await settleLog(options);
  const hadLog = hasLog(file);
  const opened = await openForService(file, tell);
  const { database, path, reserve } = opened;
  let marker: LogMarker | undefined;
  try {
    await runWithReserve(reserve, async () => bringUpToDate(database));
    if (log !== 'clean') await checkDatabase(database, path, tell);
    await reserve.restore();
    const syncer = await openWalSyncer(file, onFailure, () => marker?.beforeSync());
    const marks = (marker = createLogMarker(database, syncer.logFd, () => syncer.markWritten()));
    if (await hasRoom(path)) {
      marks.markOpen();
      // Brings the mark into the database file: from now on it says by itself that it is open.
      database.pragma('wal_checkpoint(PASSIVE)');
    }
    openHere.add(path);
    return compose({ ...opened, syncer, marks }, options);
  } catch (error) {
    // Closing removes the log, so the database must be marked as closed before. Where it cannot be, it stays open, and its
    // lock ends with the process.
    if (marker ? marker.markClosed() : !hadLog) database.close();
    throw toCatalogError(error, file);
  }
}

interface OpenedCatalog extends ServiceDatabase {
  syncer: Syncer;
  marks: LogMarker;
}

/** Puts the catalog together over its open database. */
function compose(opened: OpenedCatalog, options: SqliteCatalogOptions): Catalog {
  const { database, path, reserve, takesReaders, syncer, marks } = opened;
  const { file, isShared = false } = options;
  const tell = onceEach(options.tell);
  const reader = takesReaders ? createReader(path, tell) : undefined;
  // The first search is not to wait for the index of names.
  if (hasFiles(database)) reader?.start();
  const watch = watchOver(syncer, marks, () => checkpoints);
  const dialect = createSqliteDialect(database, watch, { beside: reader });
  const { between } = dialect;
  const checkpoints =
    reader && createCheckpoints(database, { reader, between, beforeSync: () => marks.beforeSync(), tell });
  const db = new Kysely<Tables>({ dialect });
  let closing: Promise<void> | undefined;
  const clock = createClock({
    source: options.time,
    kept: readMeta(database, 'clock'),
    believeAfterMs: options.believeAfterMs,
    tell: options.tellOfClock,
  });
  createNodeTables(database);
  const methods: DialectMethods = {
    nodes: { clock: createSqlClock(clock), isShared },
    queries: { ...sqliteQueries, nameIndex: reader ? createNameIndex(reader) : null },
    clock,
    keepTime: () => catalog.setMeta('clock', clock.keep()),
    durable: () => syncer.sync(),

    async ping() {
      await db.selectFrom('uploads').select('id').limit(1).execute();
    },

    close: () =>
      (closing ??= closeReader(reader)
        .then(() => closeDatabase(database, syncer, marks))
        .finally(() => openHere.delete(path))),
  };
  const over = (on: Kysely<Tables>) => createCatalog(on, methods);
  const quotas = { db, clock: methods.nodes.clock, dialect: sqliteQuotas, quotaOf: options.quotaOf, over };
  const catalog: Catalog = withQuotas(over(db), quotas);
  const setMeta = catalog.setMeta.bind(catalog);
  catalog.setMeta = async (key, value) => {
    if (!(await hasRoom(path))) throw new CatalogError('full', `the catalog ${file} keeps its last room for deletions`);
    await setMeta(key, value);
  };
  // As a query of `db`, it waits for the running transaction.
  const checkpointHere = () => db.executeQuery(CompiledQuery.raw('pragma wal_checkpoint(restart)'));
  return withReserve(catalog, reserve, () => (checkpoints ? checkpoints.run() : checkpointHere()));
}

function hasFiles(database: Database): boolean {
  return database.prepare('SELECT 1 FROM files LIMIT 1').get() !== undefined;
}

/** Passes each sentence on once: what fails fails again and again. */
function onceEach(tell: (found: string) => void = () => undefined): (found: string) => void {
  const told = new Set<string>();
  return (found) => {
    if (told.has(found)) return;
    told.add(found);
    tell(found);
  };
}

function readMeta(database: Database, key: MetaKey): string | undefined {
  return database.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(key) as string | undefined;
}

/** Whether there is room for writes that can wait: on a full disk, the last room is kept for deletions. */
async function hasRoom(path: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize >= LEAST_ROOM_BYTES;
}

async function closeReader(reader: Reader | undefined): Promise<void> {
  // If it has died, it has no connection any more.
  await reader?.close().catch(() => undefined);
}

async function closeDatabase(database: Database, syncer: Syncer, marker: LogMarker): Promise<void> {
  let isMarked = false;
  try {
    isMarked = syncer.failure() === undefined && marker.markClosed();
    await syncer.close();
  } finally {
    // Closing applies the log to the database and removes it. After a failed sync the kernel may return other bytes than
    // were written to the log, so it must not be applied here: the next process checks it first. Then the database stays
    // open, and its lock ends with the process.
    if (isMarked && !syncer.failure()) database.close();
  }
}

function watchOver(syncer: Syncer, marker: LogMarker, checkpoints: () => Checkpoints | undefined): Watch {
  return {
    check: () => {
      const failure = syncer.failure();
      if (failure) throw failure;
    },
    onWrite: (isRelaxed) => {
      if (!isRelaxed) syncer.markWritten();
      marker.afterWrite();
      checkpoints()?.afterWrite();
    },
  };
}

/**
 * Migrates the schema, applies the log to the database, and counts the files of each owner.
 *
 * @throws CatalogError `unavailable`; `full`, and then it can be called again.
 */
export function bringUpToDate(database: Database): void {
  try {
    migrate(database);
    // Writes what an earlier process left in the log into the database, and syncs it. The log file stays, and is reused
    // from its beginning: an open database always has one.
    database.pragma('wal_checkpoint(PASSIVE)');
    keepTotals(database);
  } catch (error) {
    throw toCatalogError(error, database.name);
  }
}

/** Checks the file and its folder, to say clearly what SQLite would report as some I/O error. @throws CatalogError `unavailable`. */
export async function checkPlace(file: string): Promise<void> {
  const refuse = (reason: string, cause?: unknown) =>
    new CatalogError('unavailable', `the catalog ${file} cannot be opened: ${reason}`, cause);

  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) throw refuse('it is a folder');
  const folder = dirname(found ? await realpath(file) : file);
  try {
    // The log is created beside the file.
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw refuse(missing ? 'its folder does not exist' : 'its folder is not writable', error);
  }
  if (!found) return;
  await access(file, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    throw refuse('it is not writable', error);
  });
}
