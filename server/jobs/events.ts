/** Events: what happened to files is kept for a day. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../clock.ts';
import type { Job, JobParts } from './job.ts';

const EVERY_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
const BATCH = 500;

export function eventsJob(parts: JobParts): Job {
  return { name: 'forgetting old events', everyMs: EVERY_MS, round: () => forgetOldEvents(parts) };
}

export interface ForgetParts {
  catalog: Pick<Catalog, 'forgetEvents'>;
  clock: Pick<Clock, 'steady'>;
  surroundings: Pick<Surroundings, 'turn'>;
  stopping: AbortSignal;
}

/** Forgets the events whose time is up, in batches between which others get their turn. */
export async function forgetOldEvents({ catalog, clock, surroundings, stopping }: ForgetParts): Promise<void> {
  // By the clock that does not jump, as the events themselves: one from a moment when the wall clock was ahead would stay
  // for years, and all after it.
  const before = clock.steady() - KEPT_MS;
  while (!stopping.aborted && (await catalog.forgetEvents(before, BATCH)) === BATCH) await surroundings.turn();
}
