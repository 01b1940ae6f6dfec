/** Stores the catalog's clock, which has to survive the process, or compares it with the database's. */
import type { Job, JobParts } from './job.ts';

const EVERY_MS = 60_000;

/** Calls the catalog's `keepTime` every minute. */
export function keepTimeJob({ catalog }: JobParts): Job {
  return { name: 'keeping the time', everyMs: EVERY_MS, round: () => catalog.keepTime() };
}
