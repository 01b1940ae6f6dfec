/** Keeping the time: the clock outlives the process. See server/clock.ts. */
import type { Job, JobParts } from './job.ts';

const EVERY_MS = 60_000;

export function keepTimeJob({ catalog, clock }: JobParts): Job {
  return { name: 'keeping the time', everyMs: EVERY_MS, round: () => catalog.setMeta('clock', clock.keep()) };
}
