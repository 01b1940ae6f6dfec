/** Removing what is left in the store of an upload that has ended. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Discarding } from '../../stores/store.ts';
import type { Parts } from './parts.ts';

/**
 * What fails here is done again by a job: the row says for as long as something is left.
 *
 * @param final - see the store's `discardUpload`.
 */
export async function discard(
  { store, catalog }: Parts,
  upload: Pick<UploadRecord, 'id' | 'storeState'>,
  final: Discarding,
): Promise<void> {
  await store.discardUpload(upload, final);
  // One that was ended has a note, whatever `upload` was read before.
  if (upload.storeState !== null || final === 'remove') await catalog.forgetStoreState(upload.id);
}
