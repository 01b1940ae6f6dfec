/** Recovers an upload after a crash: finds out what its file has beyond the last commit. */
import { type DigestLane, type DigestPool, SnapshotError } from '../digests/digests.ts';
import { type Commit, StoreError, type StoredUpload } from '../store.ts';
import { cutUnsynced, type LocalFile } from './files.ts';

const READ_BYTES = 1024 * 1024;

/**
 * Finds out what of an upload's file is durably stored, and computes its digest state. The store's note on an upload is
 * the machine's boot during the last write; null where that is not known.
 *
 * The store writes in order, one write at a time. So after the death of the process, within the same boot, the file is
 * whole up to its size. After a power cut it may have the size without the bytes: then all that was not committed is cut
 * off.
 *
 * @returns null when the catalog has the same.
 * @throws StoreError `missing` when committed bytes are gone.
 */
export async function recoverFile(
  file: LocalFile,
  upload: StoredUpload,
  bootId: string | null,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Commit | null> {
  const fileSize = requireCommitted(file, upload);
  const sameBoot = bootId !== null && upload.storeState === bootId;
  const end = sameBoot ? Math.min(fileSize, upload.size ?? fileSize) : upload.offset;
  if (end < fileSize) file.truncate(end);

  const { snapshot } = await digestUpTo(file, upload, end, digests, signal);
  if (end === upload.offset && snapshot === upload.snapshot) return null;
  try {
    await file.sync();
  } catch (error) {
    if (end > upload.offset) await cutUnsynced(file, upload.offset);
    throw error;
  }
  return { offset: end, snapshot, storeState: bootId };
}

/**
 * The same for a file that has a second name. Where that is its final one, the file is complete, even if the catalog has
 * lost the upload's length, and its bytes were synced before it got that name. It is read and never changed, as other
 * files of the catalog may share the content.
 *
 * @param isFinal - whether the file has a final name of this MD5.
 * @returns undefined when it has none.
 */
export async function recoverLinked(
  file: LocalFile,
  upload: StoredUpload,
  bootId: string | null,
  digests: DigestPool,
  isFinal: (md5: string) => Promise<boolean>,
  signal: AbortSignal,
): Promise<Commit | null | undefined> {
  const size = requireCommitted(file, upload);
  if (upload.size !== null && upload.size !== size) return undefined;
  const { snapshot, md5 } = await digestUpTo(file, upload, size, digests, signal);
  if (!(await isFinal(md5))) return undefined;
  if (size === upload.offset && size === upload.size && snapshot === upload.snapshot) return null;
  await file.sync();
  return { offset: size, snapshot, storeState: bootId, wholeSize: size };
}

function requireCommitted(file: LocalFile, upload: StoredUpload): number {
  const size = file.size();
  if (size < upload.offset) {
    throw new StoreError('missing', `upload ${upload.id}: ${upload.offset - size} committed bytes are gone`);
  }
  return size;
}

interface Digested {
  snapshot: Uint8Array;
  md5: string;
}

/** Computes the digest state at `end`; returns the upload's own snapshot where it is of that offset. */
async function digestUpTo(
  file: LocalFile,
  upload: StoredUpload,
  end: number,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Digested> {
  if (upload.snapshot) {
    const lane = digests.open(upload.snapshot);
    try {
      await lane.snapshot();
      const digested = await addFromFile(file, lane, upload.offset, end, signal);
      return end === upload.offset ? { ...digested, snapshot: upload.snapshot } : digested;
    } catch (error) {
      // The snapshot is of another version of the digest library: hash all bytes again.
      if (!(error instanceof SnapshotError)) throw error;
    } finally {
      lane.close();
    }
  }
  const lane = digests.open(null);
  try {
    return await addFromFile(file, lane, 0, end, signal);
  } finally {
    lane.close();
  }
}

async function addFromFile(
  file: LocalFile,
  lane: DigestLane,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Digested> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, end - start)));
  let at = start;
  while (at < end) {
    signal.throwIfAborted();
    const bytesRead = await file.read(buffer, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) throw new StoreError('missing', `the file ends at ${at}, before ${end}`);
    await lane.update([buffer.subarray(0, bytesRead)]);
    at += bytesRead;
  }
  const [{ md5 = '' }, snapshot] = await Promise.all([lane.digests(), lane.snapshot()]);
  return { snapshot, md5 };
}
