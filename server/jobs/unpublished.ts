/** Uploads that nobody writes to any more, and that are not what they could be: a crash or a failure came in between. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { BATCH, eachRow, type Job, type JobParts } from './job.ts';

/** Each try reads all bytes of an upload that has no SHA-256: one that keeps failing must not keep the store busy. */
const PUBLISH_EVERY_MS = 3_600_000;
/** Of another node that died. */
const RECOVER_EVERY_MS = 60_000;
/** One process alone leaves uploads behind by dying, which its next start looks after. */
const ALONE_EVERY_MS = 24 * 3_600_000;

/** Publishes uploads that have all their bytes. A look at one does the same. */
export function unpublishedJob(parts: JobParts): Job {
  const { catalog, recovery } = parts;
  const recover = (upload: UploadRecord): Promise<boolean> => recovery.recover(upload);
  return {
    name: 'publication',
    everyMs: PUBLISH_EVERY_MS,
    round: () => eachRow<UploadRecord>(parts, 'publication', (after) => catalog.listUnpublished(after, BATCH), recover),
  };
}

/** Recovers uploads whose holder has died, or could not write: they may have more bytes than their row says. */
export function abandonedJob(parts: JobParts): Job {
  const { catalog, recovery } = parts;
  const recover = (upload: UploadRecord): Promise<boolean> => recovery.recover(upload);
  return {
    name: 'recovery',
    everyMs: catalog.isShared ? RECOVER_EVERY_MS : ALONE_EVERY_MS,
    round: () => eachRow<UploadRecord>(parts, 'recovery', (after) => catalog.listAbandoned(after, BATCH), recover),
  };
}
