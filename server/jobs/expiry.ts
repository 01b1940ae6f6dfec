/** Expiry: ends unfinished uploads that have received no bytes for as long as they may live. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { isUnpublished } from '../uploads/recovery.ts';
import { BATCH, eachRow, type Job, type JobParts, whileClaimed } from './job.ts';

const EVERY_MS = 60_000;
const CLAIMED_FOR_MS = 600_000;

/** Ends the uploads whose time is up; one node at a time does. */
export function expiryJob(parts: JobParts): Job {
  const { catalog, writers, finals } = parts;

  /** Page by page, so that uploads that cannot be ended now do not keep the others from expiring. */
  async function round(): Promise<void> {
    // One node at a time: otherwise nodes would ask each other for the leases that they hold for a moment.
    await whileClaimed(parts, 'expiry', CLAIMED_FOR_MS, () =>
      eachRow<UploadRecord>(parts, 'expiry', (after) => catalog.listExpired(after, BATCH), expireUnlessPublished),
    );
  }

  async function expireUnlessPublished(upload: UploadRecord): Promise<void> {
    // A publication may take longer than the time that the upload has left.
    if (!(await writers.isPublishing(upload))) await expire(upload);
  }

  async function expire({ id }: UploadRecord): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state !== 'receiving' || upload.leftMs > 0) return;
    if (upload.kind !== 'file' && (await catalog.keepWaiting(id))) return;
    // A holder that still receives bytes would have postponed the expiry. This one is asked to stop, and commits what it has.
    // The lease is held so briefly that a request can wait for it.
    const opened = (await writers.openIfFree(upload)) ?? (await writers.open(upload, { signal: parts.stopping }));
    const writer = finals.watch(opened);
    try {
      const now = writer.upload;
      if (now.state !== 'receiving') return;
      if (isUnpublished(now)) {
        await writer.finish();
        return;
      }
      // Bytes arrived meanwhile, or were recovered.
      if (now.leftMs > 0) return;
      await writer.expire();
      parts.log.info({ uploadId: id, offset: now.offset }, 'upload expired');
    } finally {
      await writer.release();
    }
  }

  return { name: 'expiry', everyMs: EVERY_MS, round };
}
