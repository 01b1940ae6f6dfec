/**
 * Jobs: work in the background, one file each. Any number of nodes may run them. A job that must not run twice at once takes
 * the upload's lease, or a claim in the catalog. Rows are read in batches of bounded size.
 */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import { attempt, type Job, type JobParts } from './job.ts';
import { endedJob } from './ended.ts';
import { eventsJob } from './events.ts';
import { expiryJob } from './expiry.ts';
import { finalsJob } from './finals.ts';
import { keepTimeJob } from './keep-time.ts';
import { linksJob } from './links.ts';
import { removalsJob } from './removals.ts';
import { sentJob } from './sent.ts';
import { strayContentsJob, strayUploadsJob } from './strays.ts';
import { trashJob } from './trash.ts';
import { abandonedJob, unpublishedJob } from './unpublished.ts';

/** Rests vary by this share, so that nodes that start together do not work in step. */
const JITTER = 0.1;

/** All jobs, in the order in which their first rounds run. */
export function createJobs(parts: JobParts): Job[] {
  return [
    unpublishedJob(parts),
    abandonedJob(parts),
    finalsJob(parts),
    strayUploadsJob(parts),
    strayContentsJob(parts),
    keepTimeJob(parts),
    expiryJob(parts),
    removalsJob(parts),
    endedJob(parts),
    eventsJob(parts),
    linksJob(parts),
    trashJob(parts),
    sentJob(parts),
  ];
}

/** Runs the first rounds one after the other, and each job at its own interval from then on, until the service stops. */
export async function runJobs(
  jobs: readonly Job[],
  parts: { log: Logger; surroundings: Surroundings; stopping: AbortSignal },
): Promise<void> {
  const repeated: Promise<void>[] = [];
  for (const job of jobs) {
    await attempt(parts, job.name, undefined, () => job.round());
    // It does not wait for the first rounds of those that follow: that of a full trash takes long.
    repeated.push(repeat(job, parts));
  }
  await Promise.all(repeated);
}

async function repeat(job: Job, parts: Parameters<typeof runJobs>[1]): Promise<void> {
  const { surroundings, stopping } = parts;
  for (;;) {
    const restMs = job.everyMs * (1 + JITTER * (surroundings.random() - 0.5));
    await surroundings.wait(restMs, { signal: stopping, ref: false }).catch(() => undefined);
    if (stopping.aborted) return;
    await attempt(parts, job.name, undefined, () => job.round());
  }
}
