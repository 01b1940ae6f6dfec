/** An upload whose bytes are gone from the store, by whatever hand. */
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';

/**
 * Ends it, so that its client begins anew and no sweep tries for ever.
 *
 * @throws `upload_expired`, always.
 */
export async function endWithoutBytes(parts: Parts, uploadId: string, epoch: number, cause: unknown): Promise<never> {
  parts.log.error({ uploadId, err: cause }, 'bytes of an upload are gone');
  const ended = await parts.catalog.endUpload(uploadId, epoch, 'expired', 'missing_bytes', Date.now());
  const upload = ended ? await parts.catalog.findUpload(uploadId) : undefined;
  if (upload) await discard(parts, upload, 'remove');
  throw new TidemarkError('upload_expired', { cause });
}
