/** Removes what an ended upload left in the store. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Discarding } from '../../stores/store.ts';
import type { Parts } from './parts.ts';

/**
 * Removes an ended upload's bytes, then the store's note in its row. Where the removal fails, the note stays, and by it a
 * job tries again.
 *
 * @param final - see the store's `discardUpload`.
 */
export async function discard(
  { store, catalog }: Parts,
  upload: Pick<UploadRecord, 'id' | 'storeState'>,
  final: Discarding,
): Promise<void> {
  await store.discardUpload(upload, final);
  // `endUpload` leaves a note in every row that it ends, also where `upload` was read before and has none.
  if (upload.storeState !== null || final === 'remove') await catalog.forgetStoreState(upload.id);
}
