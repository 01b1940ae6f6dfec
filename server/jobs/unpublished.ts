/** Uploads that no request writes to any more, and that a crash or a failure left unpublished or unrecovered. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { BATCH, eachRow, type Job, type JobParts } from './job.ts';

/** Each try reads all bytes of an upload that has no SHA-256: one that keeps failing must not keep the store busy. */
const PUBLISH_EVERY_MS = 3_600_000;
/** How soon uploads of another node that died are recovered. */
const RECOVER_EVERY_MS = 60_000;
/** A process alone leaves uploads behind only when it dies, and its next start recovers them. */
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
