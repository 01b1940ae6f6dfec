/** An upload whose bytes are gone from the store, by whatever hand. */
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';

/**
 * Ends it, so that its client begins anew and no job tries for ever.
 *
 * @throws `upload_expired`; `upload_taken_over` when the lease was lost. One of them always.
 */
export async function endWithoutBytes(parts: Parts, uploadId: string, epoch: number, cause: unknown): Promise<never> {
  const ended = await parts.catalog.endUpload(uploadId, epoch, 'expired', 'missing_bytes');
  // The present holder may have published them, and removed what was left.
  if (!ended) throw new TidemarkError('upload_taken_over', { cause });
  parts.log.error({ uploadId, err: cause }, 'bytes of an upload are gone');
  const upload = await parts.catalog.findUpload(uploadId);
  if (upload) await discard(parts, upload, 'remove');
  throw new TidemarkError('upload_expired', { cause });
}
