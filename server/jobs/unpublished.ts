/** Uploads that nobody writes to any more, and that are not what they could be: a crash or a failure came in between. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { attempt, BATCH, type Job, type JobParts } from './job.ts';

const EVERY_MS = 60_000;
/** One process alone leaves uploads behind by dying, which its next start looks after. */
const ALONE_EVERY_MS = 24 * 3_600_000;

/** Publishes uploads that have all their bytes. HEAD asks for the same. */
export function unpublishedJob(parts: JobParts): Job {
  return {
    name: 'publication',
    everyMs: EVERY_MS,
    round: () => recoverEach(parts, 'publication', (after) => parts.catalog.listUnpublished(after, BATCH)),
  };
}

/** Recovers uploads whose holder has died, or could not write: they may have more bytes than their row says. */
export function abandonedJob(parts: JobParts): Job {
  return {
    name: 'recovery',
    everyMs: parts.catalog.isShared ? EVERY_MS : ALONE_EVERY_MS,
    round: () => recoverEach(parts, 'recovery', (after) => parts.catalog.listAbandoned(after, BATCH)),
  };
}

async function recoverEach(
  parts: JobParts,
  what: string,
  list: (after: UploadRecord | null) => Promise<UploadRecord[]>,
): Promise<void> {
  for (let after: UploadRecord | null = null; ;) {
    const batch: UploadRecord[] = await list(after);
    for (const upload of batch) {
      if (parts.stopping.aborted) return;
      after = upload;
      await attempt(parts, what, upload.id, () => parts.recovery.recover(upload));
    }
    if (batch.length < BATCH) return;
  }
}
