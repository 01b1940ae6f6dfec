/** Finishes or recovers uploads that a crash or a failure left unpublished or unrecovered, and that no request writes to. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { BATCH, eachRow, type Job, type JobParts } from './job.ts';

/** Each try reads all bytes of an upload without SHA-256: one that fails every time must not keep the store busy. */
const PUBLISH_EVERY_MS = 3_600_000;
/** How often uploads of nodes that died are looked for. */
const RECOVER_EVERY_MS = 60_000;
/** A process that is alone on its catalog leaves uploads behind only when it dies, and its next start recovers them. */
const ALONE_EVERY_MS = 24 * 3_600_000;

/** Publishes uploads that have all their bytes. A request that reads such an upload publishes it, too. */
export function unpublishedJob(parts: JobParts): Job {
  const { catalog, recovery } = parts;
  const recover = (upload: UploadRecord): Promise<boolean> => recovery.recover(upload);
  return {
    name: 'publication',
    everyMs: PUBLISH_EVERY_MS,
    round: () => eachRow<UploadRecord>(parts, 'publication', (after) => catalog.listUnpublished(after, BATCH), recover),
  };
}

/** Recovers uploads whose holder has died, or released them unrecovered: they may have more bytes than their row says. */
export function abandonedJob(parts: JobParts): Job {
  const { catalog, recovery } = parts;
  const recover = (upload: UploadRecord): Promise<boolean> => recovery.recover(upload);
  return {
    name: 'recovery',
    everyMs: catalog.isShared ? RECOVER_EVERY_MS : ALONE_EVERY_MS,
    round: () => eachRow<UploadRecord>(parts, 'recovery', (after) => catalog.listAbandoned(after, BATCH), recover),
  };
}
