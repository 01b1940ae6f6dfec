/** The trash: what has been in it for TRASH_TTL is deleted for good. */
import { removeBytesOf } from '../uploads/trash.ts';
import { type Job, type JobParts, whileClaimed } from './job.ts';

const NAME = 'emptying the trash';
const EVERY_MS = 60_000;
const CLAIMED_FOR_MS = 600_000;

/** Deletes old files in the trash for good, a few in each transaction; one node at a time does. Without a trash: all that is left in it. */
export function trashJob(parts: JobParts): Job {
  const { catalog, limits, surroundings, stopping } = parts;

  async function round(): Promise<void> {
    while (!stopping.aborted) {
      const deleted = await catalog.purgeTrash(limits.trashTtlMs);
      if (deleted.files === 0) return;
      await removeBytesOf(parts, deleted);
      await surroundings.turn();
    }
  }

  return { name: NAME, everyMs: EVERY_MS, round: () => whileClaimed(parts, NAME, CLAIMED_FOR_MS, round) };
}
