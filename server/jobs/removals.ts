/** Removals: bytes of contents that are gone from the catalog, where the request that deleted them could not remove them. */
import { removeBytes } from '../uploads/files.ts';
import { BATCH, type Job, type JobParts } from './job.ts';

const EVERY_MS = 60_000;
/** A removal takes one or a few calls of the store, each with a time limit of its own. */
const CLAIMED_FOR_MS = 600_000;

export function removalsJob(parts: JobParts): Job {
  const { catalog, leases, contentMutex } = parts;
  /** Where a round ended that found the store unwell: the next begins with the key after it. */
  let begin = 0;

  async function round(): Promise<void> {
    let after = begin;
    begin = 0;
    for (;;) {
      const batch = await catalog.listRemovals(after, BATCH);
      for (const removal of batch) {
        if (parts.stopping.aborted) return;
        after = removal.id;
        if (await removed(removal)) continue;
        begin = after;
        return;
      }
      if (batch.length < BATCH) return;
    }
  }

  async function removed({ key, md5 }: { key: string; md5: string | null }): Promise<boolean> {
    const claim = `removal of ${key}`;
    if (!(await catalog.claim(claim, leases.node, CLAIMED_FOR_MS))) return true;
    try {
      // A content that is published anew under the key takes it from the removals.
      return await contentMutex.run(md5 ?? key, async () =>
        (await catalog.isRemovalDue(key)) ? removeBytes(parts, key) : true,
      );
    } finally {
      await catalog.unclaim(claim, leases.node);
    }
  }

  return { name: 'removal of deleted contents', everyMs: EVERY_MS, round };
}

/** Before the first request, which may publish anew under one of the keys: then the store would be in the way of it. */
export async function removeLeftContents(parts: JobParts): Promise<void> {
  await removalsJob(parts).round();
}
