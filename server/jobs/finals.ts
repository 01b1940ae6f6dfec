/** Finals: joins those whose partials have all their bytes, and that no request has led to its end. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { attempt, BATCH, eachRow, type Job, type JobParts } from './job.ts';

/** After a crash, a final waits no longer than this for another node, or for the next round of this one. */
const EVERY_MS = 30_000;

/** Joins finals, ends those that lost a partial, and forgets the partials of those that have ended. */
export function finalsJob(parts: JobParts): Job {
  const { catalog, finals, stopping } = parts;

  async function round(): Promise<void> {
    for (;;) {
      const ended = await catalog.listFinalsToRelease(BATCH);
      for (const final of ended) {
        if (!(await attempt(parts, 'release of partials', final.id, () => finals.release(final.id)))) return;
      }
      if (ended.length < BATCH || stopping.aborted) break;
    }
    await eachRow<UploadRecord>(
      parts,
      'joining',
      (after) => catalog.listFinalsDue(after, BATCH),
      ({ id }) => finals.attend(id),
    );
  }

  return { name: 'joining of partial uploads', everyMs: EVERY_MS, round };
}
