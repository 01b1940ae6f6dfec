/** The way of bytes into a file: write, hash, sync, commit. */
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { openIntake } from '../intake.ts';
import { type Commit, StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import { isSystemError, toStoreError } from './errors.ts';
import type { FolderSync } from './sync.ts';

/** Most that is hashed again after a crash. */
const COMMIT_EVERY_BYTES = 64 * 1024 * 1024;
/** A slow upload commits at least this often, so that others see that bytes arrive. */
const COMMIT_EVERY_MS = 10_000;
/** The first commit comes sooner: only what follows one can be taken up after a crash. */
const FIRST_COMMIT_MS = 1_000;
/**
 * Write-back starts this often, so that the sync before the answer finds little
 * left to do, whatever the size of the file.
 */
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * Appends a source to an upload's file, from the upload's offset on. Ends with a
 * commit of everything that was written.
 *
 * @throws StoreError `full`, `unavailable`, `overflow`; or what `options.commit` threw.
 */
export async function appendToFile(
  file: FileHandle,
  source: Readable,
  upload: StoredUpload,
  bootId: string | null,
  syncFolder: FolderSync,
  options: WriteOptions,
): Promise<Written> {
  const lane = options.digests.open(upload.snapshot);
  try {
    return await append(file, lane, source, upload, bootId, syncFolder, options);
  } finally {
    lane.close();
  }
}

async function append(
  file: FileHandle,
  lane: DigestLane,
  source: Readable,
  upload: StoredUpload,
  bootId: string | null,
  syncFolder: FolderSync,
  options: WriteOptions,
): Promise<Written> {
  const stop = new AbortController();
  const intake = openIntake(source, AbortSignal.any([options.signal, stop.signal]), options.maxBytes);
  let offset = upload.offset;
  let committed = upload.offset;
  let syncedTo = upload.offset;
  let commitDueAt = Date.now() + FIRST_COMMIT_MS;
  let syncing: Promise<void> | undefined;
  let failure: Error | undefined;

  /** Before its first commit the file itself must be there after a power cut. */
  async function syncEntry(): Promise<void> {
    if (upload.snapshot === null && committed === upload.offset) await syncFolder();
  }

  /** Syncs in the background, one at a time; commits too when one is due. */
  function syncBehind(): void {
    if (syncing || failure) return;
    const upTo = offset;
    const commitDue = upTo - committed >= COMMIT_EVERY_BYTES || Date.now() >= commitDueAt;
    if (!commitDue && upTo - syncedTo < SYNC_EVERY_BYTES) return;
    const snapshot = commitDue ? lane.snapshot() : undefined;
    syncing = (async () => {
      try {
        const [state] = await Promise.all([snapshot, file.datasync(), snapshot && syncEntry()]);
        syncedTo = upTo;
        if (!state) return;
        await options.commit({ offset: upTo, snapshot: state, bootId });
        committed = upTo;
        commitDueAt = Date.now() + COMMIT_EVERY_MS;
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
        stop.abort(error);
      } finally {
        syncing = undefined;
      }
    })();
  }

  try {
    for (let batch = await intake.take(); batch && !failure; batch = await intake.take()) {
      const [written] = await Promise.all([writeAll(file, batch, offset), lane.update(batch)]);
      offset += written;
      syncBehind();
      // A disk slower than the line: wait for it here, not at the end with all memory dirty.
      if (offset - syncedTo >= COMMIT_EVERY_BYTES) await syncing;
    }
    await syncing;
    if (failure) throw failure;

    const complete = offset === upload.size;
    const digests = complete ? lane.digests() : null;
    if (offset > committed || upload.snapshot === null) {
      const [snapshot] = await Promise.all([
        lane.snapshot(),
        offset > syncedTo ? file.datasync() : undefined,
        // Publication gives a complete file its final name and syncs the folder then.
        complete ? undefined : syncEntry(),
      ]);
      const last: Commit = { offset, snapshot, bootId };
      await options.commit(last);
    }
    const end = intake.ended;
    if (end.kind === 'overflow') {
      throw new StoreError('overflow', `upload ${upload.id}: more bytes than were announced`);
    }
    return {
      offset,
      digests: await digests,
      interrupted: end.kind === 'end' ? undefined : end.cause,
    };
  } catch (error) {
    stop.abort(error);
    await syncing;
    throw isSystemError(error) ? toStoreError(error, `writing upload ${upload.id}`) : error;
  }
}

/** One vectored write after the other until all is written: a full disk may take a part of it. */
async function writeAll(file: FileHandle, chunks: Uint8Array[], position: number): Promise<number> {
  let left = chunks;
  let done = 0;
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left, position + done);
    done += bytesWritten;
    let full = 0;
    while (full < left.length && bytesWritten >= (left[full]?.length ?? 0)) {
      bytesWritten -= left[full]?.length ?? 0;
      full++;
    }
    left = left.slice(full);
    if (left[0] && bytesWritten > 0) left[0] = left[0].subarray(bytesWritten);
  }
  return done;
}
