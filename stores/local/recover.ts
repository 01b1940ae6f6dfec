/** Taking up an upload after a crash: what the file holds beyond the last commit. */
import { type DigestLane, type DigestPool, SnapshotError } from '../digests/digests.ts';
import { type Commit, StoreError, type StoredUpload } from '../store.ts';
import { cutUnsynced, type LocalFile } from './files.ts';

const READ_BYTES = 1024 * 1024;

/**
 * Establishes what of an upload's file is durably stored, and its digest state.
 *
 * Writes go in order, one at a time, so after the death of the process alone the
 * file is whole up to its size. After a power cut it may have the size without the
 * bytes: what was not committed is then cut off. A whole file with a second name had
 * its bytes synced before it was given that name, which others may have joined since:
 * it is never cut.
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
  const fileSize = file.size();
  if (fileSize < upload.offset) {
    throw new StoreError('missing', `upload ${upload.id}: ${upload.offset - fileSize} committed bytes are gone`);
  }
  const isFinal = file.links() > 1 && fileSize === upload.size;
  const sameBoot = bootId !== null && upload.bootId === bootId;
  const end = isFinal || sameBoot ? Math.min(fileSize, upload.size ?? fileSize) : upload.offset;
  if (end < fileSize && !isFinal) file.truncate(end);

  const snapshot = await digestUpTo(file, upload, end, digests, signal);
  if (end === upload.offset && snapshot === upload.snapshot) return null;
  try {
    await file.sync();
  } catch (error) {
    if (!isFinal) await cutUnsynced(file, upload.offset);
    throw error;
  }
  return { offset: end, snapshot, bootId };
}

/** The digest state at `end`; the upload's own snapshot when that is where it stands. */
async function digestUpTo(
  file: LocalFile,
  upload: StoredUpload,
  end: number,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (upload.snapshot) {
    const lane = digests.open(upload.snapshot);
    try {
      await lane.snapshot();
      if (end === upload.offset) return upload.snapshot;
      return await addFromFile(file, lane, upload.offset, end, signal);
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
): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, end - start)));
  let at = start;
  while (at < end) {
    signal.throwIfAborted();
    const bytesRead = await file.read(buffer, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) throw new StoreError('missing', `the file ends at ${at}, before ${end}`);
    await lane.update([buffer.subarray(0, bytesRead)]);
    at += bytesRead;
  }
  return lane.snapshot();
}
