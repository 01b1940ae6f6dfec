/** Recovery: commits what a crash left of an upload beyond its last commit. */
import type { Lease } from '../leases/leases.ts';
import { StoreError } from '../../stores/store.ts';
import { TidemarkError } from './errors.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Parts } from './parts.ts';
import { requireChanged } from './receive.ts';
import type { Seat } from './seats.ts';

/**
 * Brings the catalog up to what the store durably has of a receiving upload.
 *
 * @throws TidemarkError `upload_taken_over`, `upload_expired` where the bytes are gone; the reason of
 *   `signal`; errors of store and catalog untranslated.
 */
export async function recover(parts: Parts, lease: Lease, seat: Seat, signal: AbortSignal): Promise<void> {
  const { upload, uploadId: id } = lease;
  if (upload.state !== 'receiving') return;
  try {
    const found = await parts.store.recoverUpload(upload, parts.digests, signal);
    if (!found) {
      seat.markLeft('recovered');
      return;
    }
    const { wholeSize, ...commit } = found;
    const committed = await parts.catalog.commitOffset({
      id,
      epoch: lease.epoch,
      ...commit,
      idleMs: null,
      // It lives on by bytes, and not by a look at it.
      lifeMs: found.offset > upload.offset ? parts.limits.uploadTtlMs : null,
    });
    if (!committed) throw new TidemarkError('upload_taken_over');
    if (wholeSize !== undefined && upload.size === null) await recoverLength(parts, lease, seat, wholeSize);
    seat.markLeft('recovered');
    parts.log.info({ uploadId: id, from: upload.offset, to: found.offset }, 'upload recovered');
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') await endWithoutBytes(parts, id, lease.epoch, error);
    throw error;
  }
}

/** Restores a length that was declared, and lost in a power cut. */
async function recoverLength({ catalog }: Parts, lease: Lease, seat: Seat, size: number): Promise<void> {
  requireChanged(await catalog.declareLength(lease.uploadId, lease.epoch, size));
  seat.markLength(size);
}
