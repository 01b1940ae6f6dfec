/**
 * Checkpoints beside the main thread, which write the log into the database. The first one writes most of it, while commits
 * continue; the second one writes what they have added, while none begins. So the log can begin again from its start.
 */
import { PAGES_BETWEEN_CHECKPOINTS } from './connection.ts';
import type { Database } from './database.ts';
import type { SqliteDialect } from './driver.ts';
import type { Reader } from './reader.ts';

/** After how many writes the length of the log is asked for. */
const LOOK_EVERY_WRITES = 64;
/** Commits wait for the first checkpoint once the log is this many times as long. */
const HELD_FACTOR = 2;
/** Should the thread fail: the log is written on the main thread once it is this many times as long. */
const LONGEST_FACTOR = 16;

/** Keeps the log short. */
export interface Checkpoints {
  /** To be called after each write. */
  afterWrite(): void;
  /** @throws CatalogError where it fails. */
  run(): Promise<void>;
}

interface CheckpointParts {
  reader: Pick<Reader, 'checkpoint'>;
  between: SqliteDialect['between'];
  /** Called before each checkpoint, which syncs the log. */
  beforeSync: () => void;
  /** Called with a sentence for each checkpoint that fails. */
  tell?: (found: string) => void;
}

/** Checkpoints for a database that is open, by its reader. */
export function createCheckpoints(
  database: Database,
  { reader, between, beforeSync, tell }: CheckpointParts,
): Checkpoints {
  database.pragma(`wal_autocheckpoint = ${PAGES_BETWEEN_CHECKPOINTS * LONGEST_FACTOR}`);
  // It writes nothing, and tells how many pages the log has, and how many of them are in the database.
  const look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
  let running: Promise<void> | undefined;
  /** The first of the two checkpoints, while it runs. */
  let first: Promise<void> | undefined;
  let writes = 0;

  /** How many pages the log has that are not in the database. */
  function measure(): number {
    try {
      const { log, checkpointed } = look.get() as { log: number; checkpointed: number };
      return log - checkpointed;
    } catch {
      // The write itself has succeeded, and must not be reported as failed.
      return 0;
    }
  }

  async function runBoth(): Promise<void> {
    beforeSync();
    first = reader.checkpoint();
    try {
      await first;
    } finally {
      first = undefined;
    }
    await between(async () => {
      // Meanwhile the log may have begun anew.
      beforeSync();
      await reader.checkpoint();
    });
  }

  function run(): Promise<void> {
    running ??= runBoth().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    run,
    afterWrite() {
      if (++writes < LOOK_EVERY_WRITES || database.inTransaction) return;
      writes = 0;
      const pages = measure();
      // A checkpoint that fails is tried again after the next writes: what is committed is in the log.
      if (pages >= PAGES_BETWEEN_CHECKPOINTS && !running)
        run().catch((error: Error) => tell?.(`the log of the catalog could not be written into it: ${error.message}`));
      const waitsFor = first;
      // It is slower than the commits: they wait for it.
      if (pages >= PAGES_BETWEEN_CHECKPOINTS * HELD_FACTOR && waitsFor) between(() => waitsFor).catch(() => undefined);
    },
  };
}
