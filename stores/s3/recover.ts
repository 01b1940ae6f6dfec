/** Recovers an upload whose object may be whole, although its row does not say so. */
import { type DigestPool, SnapshotError } from '../digests/digests.ts';
import { type Commit, StoreError, type StoredUpload } from '../store.ts';
import { openContent } from './content.ts';
import type { Objects } from './objects.ts';
import type { FoundObject } from './reading.ts';
import { rowOf } from './row.ts';
import { encodeState, type UploadState } from './state.ts';

/** One short attempt is enough: a write or a completion that finds the parts gone checks again. */
const PATIENCE = { attempts: 1, timeoutMs: 3_000 };
/** How often the same bytes are read at most, until two readings agree. */
const MOST_READINGS = 5;

/**
 * When an upload has all its bytes, its parts become one object. If the row is older than that, because the catalog was
 * restored or lost commits in a power cut, the upload is recovered from the object.
 *
 * @returns null when there is nothing to recover.
 */
export async function recoverWhole(
  objects: Objects,
  key: string,
  { upload, state }: { upload: StoredUpload; state: UploadState | null },
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Commit | null> {
  if (!state?.multipart || state.whole || upload.offset === upload.size) return null;
  const found = await objects.head(key, PATIENCE).catch(() => undefined);
  if (!found || !isOf(upload, found)) return null;
  return {
    offset: found.size,
    snapshot: await digestRest(objects, key, { upload, size: found.size }, digests, signal),
    storeState: encodeState({
      ...state,
      tail: null,
      old: state.tail ? [...state.old, state.tail.key] : state.old,
      whole: true,
      // A tail may have been stored after the commit of this row.
      doubtful: true,
    }),
  };
}

/**
 * The previous writer may have stored a whole object or a tail that it could not record. Each has a key of its own, which no
 * row names. So the row has to say that they are looked for when the upload ends. This must be recorded now, as the row is
 * deleted together with the file.
 *
 * @param partBytes - `S3_PART_BYTES`.
 * @returns null where there can be no such object, or the row says so already.
 */
export async function doubt(upload: StoredUpload, partBytes: number, digests: DigestPool): Promise<Commit | null> {
  const { size, offset } = upload;
  const { state } = rowOf(upload, partBytes);
  if (size === 0 || state.doubtful || state.whole) return null;
  const snapshot = upload.snapshot ?? (await emptySnapshot(digests));
  return { offset, snapshot, storeState: encodeState({ ...state, doubtful: true }) };
}

async function emptySnapshot(digests: DigestPool): Promise<Uint8Array> {
  const lane = digests.open(null);
  try {
    return await lane.snapshot();
  } finally {
    lane.close();
  }
}

function isOf({ id, size, offset }: StoredUpload, found: FoundObject): boolean {
  return found.uploadId === id && (size === null ? found.size >= offset : found.size === size);
}

/** The digest state at the object's end. Nothing is known to compare it with, so it is computed twice. */
async function digestRest(
  objects: Objects,
  key: string,
  { upload, size }: { upload: StoredUpload; size: number },
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const seen = new Set<string>();
  for (let tried = 0; tried < MOST_READINGS; tried++) {
    const { snapshot, digest } = await digestOnce(objects, key, { upload, size }, digests, signal);
    if (seen.has(digest) || size === upload.offset) return snapshot;
    seen.add(digest);
  }
  throw new StoreError('unavailable', `${key} is read as other bytes each time`);
}

async function digestOnce(
  objects: Objects,
  key: string,
  { upload: { offset, snapshot }, size }: { upload: StoredUpload; size: number },
  digests: DigestPool,
  signal: AbortSignal,
): Promise<{ snapshot: Uint8Array; digest: string }> {
  const lane = digests.open(snapshot);
  try {
    await lane.snapshot();
    if (offset < size) {
      let at = offset;
      const range = { start: offset, end: size - 1 };
      for await (const chunk of (await openContent(objects, key, { range, signal })) as AsyncIterable<Uint8Array>) {
        signal.throwIfAborted();
        await lane.update([chunk]);
        at += chunk.length;
      }
      if (at < size) throw new StoreError('unavailable', `${key} ended at ${at}, before ${size}`);
    }
    return { snapshot: await lane.snapshot(), digest: JSON.stringify(await lane.digests()) };
  } catch (error) {
    // The snapshot comes from another version of the digest library: hashes the whole object instead.
    if (!(error instanceof SnapshotError) || snapshot === null) throw error;
    const fromStart = { id: '', offset: 0, snapshot: null } as StoredUpload;
    return await digestOnce(objects, key, { upload: fromStart, size }, digests, signal);
  } finally {
    lane.close();
  }
}
