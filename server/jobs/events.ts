/** What happened to files is kept for a day. */
import { forgetOldEvents } from '../outbox/forget.ts';
import type { Job, JobParts } from './job.ts';

const EVERY_MS = 60_000;

export function eventsJob(parts: JobParts): Job {
  return { name: 'forgetting old events', everyMs: EVERY_MS, round: () => forgetOldEvents(parts) };
}
