/** Events: what happened to files is kept for a day. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type Job, type JobParts, whileClaimed } from './job.ts';

const NAME = 'forgetting old events';
const EVERY_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
const BATCH = 500;
const CLAIMED_FOR_MS = 600_000;

export function eventsJob(parts: JobParts): Job {
  return {
    name: NAME,
    everyMs: EVERY_MS,
    round: () => whileClaimed(parts, NAME, CLAIMED_FOR_MS, () => forgetOldEvents(parts)),
  };
}

export interface ForgetParts {
  catalog: Pick<Catalog, 'forgetEvents'>;
  surroundings: Pick<Surroundings, 'turn'>;
  stopping: AbortSignal;
}

/** Forgets the events whose time is up, in batches between which others get their turn. */
export async function forgetOldEvents({ catalog, surroundings, stopping }: ForgetParts): Promise<void> {
  while (!stopping.aborted && (await catalog.forgetEvents(KEPT_MS, BATCH)) === BATCH) await surroundings.turn();
}
