/** Ends an upload whose bytes are gone from the store, whoever removed them. */
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';

/**
 * Ends the upload as expired, so that its client begins a new one and no job retries forever.
 *
 * @throws always: `upload_expired`, or `upload_taken_over` when the lease was lost.
 */
export async function endWithoutBytes(parts: Parts, uploadId: string, epoch: number, cause: unknown): Promise<never> {
  const ended = await parts.catalog.endUpload(uploadId, epoch, 'expired', 'missing_bytes');
  // The request that holds the lease now may have published the bytes, and removed the temporary ones.
  if (!ended) throw new TidemarkError('upload_taken_over', { cause });
  parts.log.error({ uploadId, err: cause }, 'bytes of an upload are gone');
  const upload = await parts.catalog.findUpload(uploadId);
  if (upload) await discard(parts, upload, 'remove');
  throw new TidemarkError('upload_expired', { cause });
}
