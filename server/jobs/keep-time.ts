/** Keeping the time: the catalog's clock outlives the process. */
import type { Job, JobParts } from './job.ts';

const EVERY_MS = 60_000;

export function keepTimeJob({ catalog }: JobParts): Job {
  return { name: 'keeping the time', everyMs: EVERY_MS, round: () => catalog.keepTime() };
}
