/** Strays: bytes in the store that belong to no row of the catalog. */
import { discard } from '../uploads/discard.ts';
import { discardEnded } from './ended.ts';
import { attempt, BATCH, type Job, type JobParts, whileClaimed } from './job.ts';

/** Bytes that a crash left, and that the resumed upload did not use, become strays when the upload has ended. */
const EVERY_MS = 24 * 3_600_000;
const CLAIMED_FOR_MS = 3_600_000;

/** Removes bytes that belong to no unfinished upload; recovers those of unfinished uploads. */
export function strayUploadsJob(parts: JobParts): Job {
  const { catalog, store, writers, recovery, log } = parts;

  async function round(): Promise<void> {
    if (!store.capabilities.listUnfinished) return;
    for await (const ids of inBatches(store.listUnfinished())) {
      if (parts.stopping.aborted) return;
      await lookAt(ids);
    }
  }

  async function lookAt(ids: string[]): Promise<void> {
    const receiving = await catalog.filterReceiving(ids);
    for (const id of ids) {
      if (writers.isHeld(id)) continue;
      if (receiving.has(id)) await attempt(parts, 'recovery', id, () => recover(id));
      else {
        log.info({ uploadId: id }, 'bytes of no upload under way are looked after');
        await attempt(parts, 'removal of stray bytes', id, () => removeStray(id));
      }
    }
  }

  async function recover(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state === 'receiving' && writers.needsRecovery(upload)) await recovery.recover(upload);
  }

  async function removeStray(id: string): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload) await discardEnded(parts, upload);
    else await discard(parts, { id, storeState: null }, 'unknown');
  }

  return {
    name: 'looking over unfinished uploads',
    everyMs: EVERY_MS,
    round: () => whileClaimed(parts, 'looking over unfinished uploads', CLAIMED_FOR_MS, round),
  };
}

/**
 * Reports, once after a start, stored contents that no row of the catalog names. It does not remove them: where the catalog
 * is an older copy, or another one, they are somebody's files.
 */
export function strayContentsJob(parts: JobParts): Job {
  const { catalog, store, contentMutex, log } = parts;
  let isDone = false;

  /** Those of these keys that no content has, also once the publications that run now have ended. */
  async function unknownOf(keys: string[]): Promise<string[]> {
    const known = await catalog.filterKeys(keys);
    const unknown = keys.filter((key) => !known.has(key));
    if (unknown.length === 0) return [];
    await contentMutex.settled();
    const since = await catalog.filterKeys(unknown);
    return unknown.filter((key) => !since.has(key));
  }

  async function round(): Promise<void> {
    if (!store.capabilities.listContents || isDone) return;
    let strays = 0;
    let example: string | undefined;
    for await (const keys of inBatches(store.listContents())) {
      if (parts.stopping.aborted) return;
      const unknown = await unknownOf(keys);
      strays += unknown.length;
      example ??= unknown[0];
    }
    isDone = true;
    if (strays > 0)
      log.warn({ strays, example }, 'the store has files that the catalog does not know: see docs/operations.md');
  }

  return {
    name: 'looking over contents',
    everyMs: EVERY_MS,
    round: () => whileClaimed(parts, 'looking over contents', CLAIMED_FOR_MS, round),
  };
}

async function* inBatches(items: AsyncIterable<string>): AsyncIterable<string[]> {
  let batch: string[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
