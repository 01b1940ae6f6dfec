/** An upload whose bytes are gone from the store, by whatever hand. */
import type { Parts } from './parts.ts';
import { TidemarkError } from './errors.ts';

/**
 * Ends it, so that its client begins anew and no sweep tries for ever.
 *
 * @throws `upload_expired`, always.
 */
export async function endWithoutBytes(parts: Parts, uploadId: string, epoch: number, cause: unknown): Promise<never> {
  parts.log.error({ uploadId, err: cause }, 'bytes of an upload are gone');
  const ended = await parts.catalog.endUpload(uploadId, epoch, 'expired', 'missing_bytes', Date.now());
  if (ended) await parts.store.discardUpload(uploadId);
  throw new TidemarkError('upload_expired', { cause });
}
