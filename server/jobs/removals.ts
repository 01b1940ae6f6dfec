/** Removals: removes bytes of deleted contents, where the request that deleted them could not remove the bytes. */
import type { RemovalRecord } from '../catalog/catalog.ts';
import { removeBytes } from '../uploads/remove-bytes.ts';
import { attempt, BATCH, type Job, type JobParts } from './job.ts';

const EVERY_MS = 60_000;
/** After this many failures in a row the store counts as unavailable, and the round ends. The next one begins after them. */
const MOST_FAILURES = 5;

/** Retries the removals that the catalog has noted. */
export function removalsJob(parts: JobParts): Job {
  /** The last removal that a round tried before it gave up; 0 after a round that reached the end. */
  let begin = 0;
  return {
    name: 'removal of deleted contents',
    everyMs: EVERY_MS,
    round: async () => {
      begin = await removeSome(parts, begin, MOST_FAILURES);
    },
  };
}

/**
 * Runs before the service answers the first request. A request may publish under one of these keys, and the store would
 * refuse that while the old bytes are there.
 */
export async function removeLeftContents(parts: JobParts): Promise<void> {
  await removeSome(parts, 0, MOST_FAILURES);
}

/** @returns the id of the removal after which the next round begins; 0: it begins with the first. */
async function removeSome(parts: JobParts, after: number, mostFailures: number): Promise<number> {
  let last = after;
  for (let failures = 0; ;) {
    const page = await parts.catalog.listRemovals(last, BATCH);
    for (const removal of page) {
      if (parts.stopping.aborted) return last;
      last = removal.id;
      const isDone = await attempt(parts, 'removal of a deleted content', undefined, () => remove(parts, removal));
      failures = isDone ? 0 : failures + 1;
      if (failures === mostFailures) return last;
    }
    if (page.length < BATCH) return 0;
  }
}

/** Removes the bytes of one key. @throws where they are still there. */
async function remove(parts: JobParts, { key, md5 }: RemovalRecord): Promise<void> {
  await parts.contentMutex.run(md5 ?? nameOf(key), async () => {
    if (!(await removeBytes(parts, key, true))) throw new Error(`the bytes of ${key} are still there`);
  });
}

/** The name of the mutex for a removal that was noted without its MD5. Keys in the folder begin with the MD5. */
function nameOf(key: string): string {
  return /^[0-9a-f]{32}/.exec(key)?.[0] ?? key;
}
