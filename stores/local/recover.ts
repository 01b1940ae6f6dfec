/** Recovery of an upload after a crash: what the file holds beyond the last commit. */
import { type DigestLane, type DigestPool, SnapshotError } from '../digests/digests.ts';
import { type Commit, StoreError, type StoredUpload } from '../store.ts';
import { cutUnsynced, type LocalFile } from './files.ts';

const READ_BYTES = 1024 * 1024;

/**
 * Establishes what of an upload's file is durably stored, and its digest state. What the store keeps of an upload is
 * the boot of the machine that wrote last: null where that cannot be known.
 *
 * Writes go in order, one at a time, so after the death of the process alone the
 * file is whole up to its size. After a power cut it may have the size without the
 * bytes: what was not committed is then cut off.
 *
 * @returns null when the catalog has it right.
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
    await cutUnsynced(file, upload.offset);
    throw error;
  }
  return { offset: end, snapshot, storeState: bootId };
}

/**
 * The same of a file that has a second name, which may be its final one: then it is whole,
 * also where the catalog has lost its length; its bytes were synced before it got that name, and others
 * may have joined it since. It is read and never changed.
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

/** The digest state at `end`; the upload's own snapshot when that is where it stands. */
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
      // A state of another version of the digest library: the bytes are all here, hash them again.
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
