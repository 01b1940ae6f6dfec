/** Events: the catalog keeps for a day what happened to files. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type Job, type JobParts, whileClaimed } from './job.ts';

const NAME = 'forgetting old events';
const EVERY_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
/** With SQLite, some 4 ms of the main thread where they are of as many owners. */
const BATCH = 200;
const CLAIMED_FOR_MS = 600_000;

/** Removes old events; one node at a time does. */
export function eventsJob(parts: JobParts): Job {
  return {
    name: NAME,
    everyMs: EVERY_MS,
    round: () => whileClaimed(parts, NAME, CLAIMED_FOR_MS, () => forgetOldEvents(parts)),
  };
}

/** What `forgetOldEvents` works with. */
export interface ForgetParts {
  catalog: Pick<Catalog, 'forgetEvents'>;
  surroundings: Pick<Surroundings, 'turn'>;
  stopping: AbortSignal;
}

/** Removes events that are older than a day, in batches. Other work of this process runs between two batches. */
export async function forgetOldEvents({ catalog, surroundings, stopping }: ForgetParts): Promise<void> {
  while (!stopping.aborted && (await catalog.forgetEvents(KEPT_MS, BATCH)) === BATCH) await surroundings.turn();
}
