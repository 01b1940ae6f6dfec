/** Expiry: unfinished uploads that nobody has sent bytes of for their life. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { isWhole } from '../uploads/recovery.ts';
import { attempt, BATCH, type Job, type JobParts } from './job.ts';

const EVERY_MS = 60_000;

export function expiryJob(parts: JobParts): Job {
  const { catalog, clock, writers } = parts;

  async function round(): Promise<void> {
    const now = clock.earliest();
    for (let batch = await catalog.listExpired(now, BATCH); batch.length > 0;) {
      let ended = 0;
      for (const upload of batch) {
        // Its writer is publishing it, which may take longer than its life.
        if (await writers.isPublishing(upload)) continue;
        if (await attempt(parts, 'expiry', upload.id, () => expire(upload))) ended++;
      }
      // What could not be ended now comes again with the next round.
      batch = ended === BATCH ? await catalog.listExpired(now, BATCH) : [];
    }
  }

  async function expire({ id }: UploadRecord): Promise<void> {
    const upload = await catalog.findUpload(id);
    if (upload?.state !== 'receiving' || upload.expiresAt > clock.earliest()) return;
    // A holder whose bytes still arrived would have moved the expiry: it is asked to stop, and commits what it has.
    // The lease is held only so long that a request can wait for it.
    const writer = (await writers.openIfFree(upload)) ?? (await writers.open(upload, { signal: parts.stopping }));
    try {
      const now = writer.upload;
      if (now.state !== 'receiving') return;
      if (isWhole(now)) {
        await writer.finish();
        return;
      }
      // Bytes arrived meanwhile, or were recovered.
      if (now.expiresAt > clock.earliest()) return;
      await writer.expire();
      parts.log.info({ uploadId: id, offset: now.offset }, 'upload expired');
    } finally {
      await writer.release();
    }
  }

  return { name: 'expiry', everyMs: EVERY_MS, round };
}
