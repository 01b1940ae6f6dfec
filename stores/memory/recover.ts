/** Recovers an upload after a crash: finds pieces that are not committed yet. */
import { type DigestPool, SnapshotError } from '../digests/digests.ts';
import type { Commit, StoredUpload } from '../store.ts';
import type { Mount } from './mount.ts';
import type { Entry } from './platter.ts';
import { markName } from './names.ts';
import { bootOf, encodeState, lastPieceOf, readPieces, readUncounted } from './pieces.ts';

/** Finds out what of an upload is durably stored; see `Store.recoverUpload`. */
export async function recoverUpload(
  mount: Mount,
  upload: StoredUpload,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Commit | null> {
  const counted = await readPieces(mount, upload);
  const uncounted = await findUncounted(mount, upload);
  if (upload.offset === 0 && uncounted.length === 0) return null;
  if (uncounted.length > 0) await mount.sync(uncounted.map(({ name }) => name));
  const beyond = uncounted.map(({ piece }) => piece);
  const snapshot =
    (await digestFrom(upload.snapshot, beyond, digests, signal)) ??
    (await digestFrom(null, [...counted, ...beyond], digests, signal));
  if (snapshot === null || (beyond.length === 0 && snapshot === upload.snapshot)) return null;
  const end = beyond.at(-1);
  return {
    offset: end ? end.start + end.size : upload.offset,
    snapshot,
    storeState: encodeState(mount.bootId, uncounted.at(-1)?.name ?? lastPieceOf(upload)),
  };
}

/** Finds the pieces after the last commit, where they can be trusted. */
async function findUncounted(mount: Mount, upload: StoredUpload): Promise<{ name: string; piece: Entry }[]> {
  const found = await readUncounted(mount, upload);
  if (found.length === 0 || bootOf(upload) === mount.bootId) return found;
  // A power cut loses pieces that were not synced, but perhaps not all of them, so that the others cannot be trusted. Only
  // the pieces of an attempt that was made final were synced, together with its mark.
  const mark = await mount.read(markName(upload.id));
  return mark?.after === found.at(-1)?.name ? found : [];
}

/** Computes the digest state after these pieces; null where the state before them is missing or cannot be resumed. */
async function digestFrom(
  from: Uint8Array | null,
  pieces: readonly Entry[],
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  if (from === null && pieces[0]?.start !== 0) return null;
  const lane = digests.open(from);
  try {
    const before = await lane.snapshot();
    for (const piece of pieces) {
      signal.throwIfAborted();
      await lane.update(piece.chunks);
    }
    return pieces.length === 0 ? (from ?? before) : await lane.snapshot();
  } catch (error) {
    if (error instanceof SnapshotError) return null;
    throw error;
  } finally {
    lane.close();
  }
}
