/** The way of bytes into a file: write, hash, sync, commit. */
import type { Readable } from 'node:stream';
import type { DigestLane, DigestSet } from '../digests/digests.ts';
import { openIntake } from '../intake.ts';
import { type Commit, StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';
import { isSystemError, toStoreError } from './errors.ts';
import { cutUnsynced, type LocalFile } from './files.ts';

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
/** And when a pause comes with this much unsynced: a slow line then waits for nothing at its end. */
const SYNC_IN_PAUSE_BYTES = 256 * 1024;
const PAUSE_MS = 50;

/** Where a file is, and what can be said of it there. */
interface Place {
  bootId: string | null;
  /** Resolves when the file itself is there after a power cut. */
  syncEntry: () => Promise<void>;
  /** The file keeps its name when it is given its final one. */
  hasLinks: boolean;
  surroundings: Surroundings;
}

/**
 * Appends a source to an upload's file, from the upload's offset on. Ends with a
 * commit of everything that was written.
 *
 * @throws StoreError `full`, `unavailable`, `overflow`; or what `options.commit` threw.
 */
export async function appendToFile(
  file: LocalFile,
  source: Readable,
  upload: StoredUpload,
  place: Place,
  options: WriteOptions,
): Promise<Written> {
  const lane = options.digests.open(upload.snapshot);
  try {
    return await append(file, lane, source, upload, place, options);
  } finally {
    lane.close();
  }
}

async function append(
  file: LocalFile,
  lane: DigestLane,
  source: Readable,
  upload: StoredUpload,
  place: Place,
  options: WriteOptions,
): Promise<Written> {
  const { surroundings } = place;
  const intake = openIntake(source, options, surroundings);
  let offset = upload.offset;
  let committed = upload.offset;
  let syncedTo = upload.offset;
  let commitDueAt = surroundings.elapsedMs() + FIRST_COMMIT_MS;
  let syncing: Promise<void> | undefined;
  let syncFailed = false;
  let failure: Error | undefined;
  let result: Promise<Result> | undefined;

  /** With the first bytes that are committed the file itself must be there after a power cut. */
  async function syncEntry(): Promise<void> {
    if (committed === 0) await place.syncEntry();
  }

  async function sync(): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      syncFailed = true;
      throw error;
    }
  }

  /** Syncs in the background, one at a time; commits too when one is due. */
  function syncBehind(leastBytes: number): void {
    if (syncing || failure) return;
    const upTo = offset;
    const commitDue = upTo - committed >= COMMIT_EVERY_BYTES || surroundings.elapsedMs() >= commitDueAt;
    if (!commitDue && upTo - syncedTo < leastBytes) return;
    const snapshot = commitDue ? lane.snapshot() : undefined;
    syncing = (async () => {
      try {
        const [state] = await Promise.all([snapshot, sync(), snapshot && syncEntry()]);
        syncedTo = upTo;
        if (!state) return;
        await options.commit({ offset: upTo, snapshot: state, bootId: place.bootId });
        committed = upTo;
        commitDueAt = surroundings.elapsedMs() + COMMIT_EVERY_MS;
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
        intake.stop(error);
      } finally {
        syncing = undefined;
      }
    })();
  }

  /** A batch is on its way: the digest may be ahead of `offset`, and no commit must be made of it. */
  let writing: Promise<unknown> | undefined;
  let isEnding = false;

  async function flush(): Promise<'committed' | 'ending'> {
    if ((await intake.catchUp()) === 'ended') return 'ending';
    await settled(writing);
    const upTo = offset;
    while (committed < upTo && !isEnding && !failure) {
      // Also for whoever syncs next: with a quick sender that may be the loop below.
      commitDueAt = 0;
      if (!writing) syncBehind(0);
      await settled(syncing ?? writing);
    }
    return isEnding || failure ? 'ending' : 'committed';
  }
  options.onReading?.(flush);

  const pause = surroundings.setTimeout(() => {
    if (!writing) syncBehind(SYNC_IN_PAUSE_BYTES);
  }, PAUSE_MS);
  try {
    for (let batch = await intake.take(); batch && !failure; batch = await intake.take()) {
      const bytes = batch.reduce((sum, chunk) => sum + chunk.length, 0);
      const hashed = lane.update(batch);
      // Asked for with the last bytes, the digests come with the same message.
      if (offset + bytes === upload.size) result = hashed.then(() => readResult(lane));
      writing = Promise.all([file.write(batch, offset), hashed, result]);
      await writing;
      offset += bytes;
      writing = undefined;
      syncBehind(SYNC_EVERY_BYTES);
      pause.refresh();
      // A disk slower than the line: wait for it here, not at the end with all memory dirty.
      if (offset - syncedTo >= COMMIT_EVERY_BYTES) await syncing;
    }
    isEnding = true;
    surroundings.clearTimeout(pause);
    await syncing;
    if (failure) throw failure;

    const complete = offset === upload.size;
    const { digests, snapshot } = await (result ?? readResult(lane));
    if (offset > committed || upload.snapshot === null) {
      await Promise.all([
        offset > syncedTo ? sync() : undefined,
        // Publication gives a complete file its final name and syncs the folder then; a rename can be lost.
        complete && place.hasLinks ? undefined : syncEntry(),
      ]);
      const last: Commit = { offset, snapshot, bootId: place.bootId };
      await options.commit(complete && place.hasLinks ? { ...last, optional: syncEntry } : last);
    }
    const end = intake.ended;
    if (end.kind === 'overflow') {
      throw new StoreError('overflow', `upload ${upload.id}: more bytes than were announced`);
    }
    return {
      offset,
      digests: complete ? digests : null,
      interrupted: end.kind === 'end' ? undefined : end.cause,
    };
  } catch (error) {
    isEnding = true;
    surroundings.clearTimeout(pause);
    intake.stop(error);
    await syncing;
    if (syncFailed) await cutUnsynced(file, syncedTo);
    throw isSystemError(error) ? toStoreError(error, `writing upload ${upload.id}`) : error;
  }
}

async function settled(action: Promise<unknown> | undefined): Promise<void> {
  await action?.catch(() => undefined);
}

interface Result {
  digests: DigestSet;
  snapshot: Uint8Array;
}

async function readResult(lane: DigestLane): Promise<Result> {
  const [digests, snapshot] = await Promise.all([lane.digests(), lane.snapshot()]);
  return { digests, snapshot };
}
