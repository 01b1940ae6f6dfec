/**
 * Makes commits survive a power cut, off the event loop. Why syncing the
 * write-ahead log is all it takes: docs/decisions/0001-catalog-durability.md.
 */
import { open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CatalogError } from '../catalog.ts';

/** Syncs the log of a database. */
export interface Syncer {
  /** A descriptor of the log; valid until the syncer is closed. */
  readonly logFd: number;
  /** To be called after each write to the log. */
  markWritten(): void;
  /** Resolves when everything written before the call is on the disk. */
  sync(): Promise<void>;
  /** The error of a failed sync; undefined while none has failed. */
  failure(): CatalogError | undefined;
  /** Syncs once more, then closes the log's descriptor. */
  close(): Promise<void>;
}

/**
 * A group commit over `syncOnce`: runs one sync at a time. Calls during a sync share the next one, as the running one
 * may have begun before their writes.
 *
 * A failure is final: the kernel reports lost writes only once, so a later success would prove nothing about them.
 *
 * @param onFailure - called once, with the error of the failed sync.
 */
export function createGroupSync(
  syncOnce: () => Promise<void>,
  onFailure: (error: CatalogError) => void = () => undefined,
): Pick<Syncer, 'sync' | 'failure'> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let failed: CatalogError | undefined;

  async function run(): Promise<void> {
    try {
      await syncOnce();
    } catch (error) {
      failed = new CatalogError(
        'unavailable',
        `the catalog could not be synced to the disk and must be reopened: ${(error as Error).message}`,
        error,
      );
      onFailure(failed);
    } finally {
      running = undefined;
    }
    if (failed) throw failed;
  }

  async function runAfter(previous: Promise<void>): Promise<void> {
    await previous;
    next = undefined;
    running = run();
    await running;
  }

  return {
    sync() {
      if (failed) return Promise.reject(failed);
      if (running) return (next ??= runAfter(running));
      return (running = run());
    },
    failure: () => failed,
  };
}

/**
 * Syncs the write-ahead log of a database that this process holds open in exclusive mode.
 *
 * @param onFailure - called once, with the error of the failed sync.
 * @param beforeSync - called before each sync; what it writes to the log is synced, too.
 */
export async function openWalSyncer(
  databaseFile: string,
  onFailure: (error: CatalogError) => void,
  beforeSync: () => void,
): Promise<Syncer> {
  // SQLite has put the log beside the file itself, not beside a link to it.
  const realFile = await realpath(databaseFile);
  // A descriptor of our own. Closing it drops none of SQLite's locks, which are on the database file (POSIX: closing any
  // descriptor of a file drops the process's locks on that file).
  const wal = await open(`${realFile}-wal`, 'r+');
  try {
    const folder = await open(dirname(realFile), 'r');
    try {
      // Makes the names of both files durable, which are new on the first start.
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    await wal.close();
    throw error;
  }

  /** Counts writes. Starts at 1: what the log has at the start may not be synced. */
  let written = 1;
  let synced = 0;
  const group = createGroupSync(async () => {
    beforeSync();
    const upTo = written;
    await wal.datasync();
    synced = upTo;
  }, onFailure);
  let closing: Promise<void> | undefined;

  async function syncAndClose(): Promise<void> {
    try {
      await group.sync();
    } finally {
      await wal.close();
    }
  }

  return {
    logFd: wal.fd,
    markWritten: () => {
      written++;
    },
    sync() {
      if (closing) return Promise.reject(new CatalogError('unavailable', `the catalog ${databaseFile} is closed`));
      if (synced === written && !group.failure()) return Promise.resolve();
      return group.sync();
    },
    failure: group.failure,
    close: () => (closing ??= syncAndClose()),
  };
}
