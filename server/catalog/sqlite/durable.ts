/**
 * Makes commits survive a power cut, off the event loop. Why syncing the
 * write-ahead log is all it takes: docs/decisions/0001-catalog-durability.md.
 */
import { open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CatalogError } from '../catalog.ts';

export interface Syncer {
  /** A descriptor of the log, until the syncer is closed. */
  readonly logFd: number;
  /** Something was written to the log. */
  markWritten(): void;
  /** Resolves when everything written before the call is on the disk. */
  sync(): Promise<void>;
  /** Why syncing has failed, once it has. */
  failure(): CatalogError | undefined;
  /** Syncs a last time. */
  close(): Promise<void>;
}

/**
 * A group commit over `syncOnce`: one at a time, and all callers that come while
 * it runs share the next one, since it began before their writes were whole.
 *
 * A failure is final: the kernel reports lost writes once and then forgets that
 * they were lost, so a later success would prove nothing about them.
 *
 * @param onFailure - told of it, once.
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
 * @param onFailure - told of a sync that failed, once.
 * @param beforeSync - may write to the log; what it writes is synced, too.
 */
export async function openWalSyncer(
  databaseFile: string,
  onFailure: (error: CatalogError) => void,
  beforeSync: () => void,
): Promise<Syncer> {
  // Where SQLite has put it: beside the file itself, not beside a link to it.
  const realFile = await realpath(databaseFile);
  // A descriptor of our own: SQLite keeps its locks on the database file, so that
  // closing this one drops none of them (POSIX releases locks with any descriptor).
  const wal = await open(`${realFile}-wal`, 'r+');
  try {
    const folder = await open(dirname(realFile), 'r');
    try {
      // The names of both files, which are new on the first start.
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    await wal.close();
    throw error;
  }

  /** Counts writes; what this process finds in the log at the start is one. */
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
