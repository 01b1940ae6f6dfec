/** Writes a request's bytes to a file: write, hash, sync, commit. */
import type { Readable } from 'node:stream';
import type { DigestLane, DigestSet } from '../digests/digests.ts';
import { afterBytes } from '../chunks.ts';
import { causeOf, endUncommitted, type Intake, openIntake, QUIET_MS, refuseOverflow } from '../intake.ts';
import type { Commit, Flush, StoredUpload, WriteOptions, Written } from '../store.ts';
import type { Surroundings, Timer } from '../surroundings.ts';
import { freeChunks } from '../free-chunks.ts';
import { BLOCK_BYTES } from './direct.ts';
import { isSystemError, toStoreError } from './errors.ts';
import { cutUnsynced, type LocalFile } from './files.ts';
import {
  afterBatch,
  afterCommit,
  afterSync,
  isFarBehind,
  isFlushing,
  lastSteps,
  nextBehind,
  type Occasion,
  type Progress,
  startAt,
  withCommitDue,
} from './progress.ts';

/** Without a batch for so long, the sender is in a pause. */
const PAUSE_MS = 50;

/** What a write needs to know of the file's folder and machine. */
export interface Place {
  /** Recorded with each commit: a recovery trusts bytes beyond the commit only within the same boot of the machine. */
  bootId: string | null;
  /** Resolves when the file's entry survives a power cut. */
  syncEntry: () => Promise<void>;
  /** The file gets its final name by a hard link, and keeps this one. */
  hasLinks: boolean;
  /** Called when nobody reads the chunks of a batch any more: their memory may be used again. */
  onFree?: (chunks: readonly Uint8Array[]) => void;
  surroundings: Surroundings;
}

/**
 * Appends a source to an upload's file, from the upload's offset on. Ends with a
 * commit of everything that was written; an atomic write, with one commit or none.
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
    if (options.verification) await distrustRest(upload, lane, place, options);
    const units = { bytes: BLOCK_BYTES, from: upload.offset };
    const intake = openIntake(source, options, place.surroundings, units);
    return await append({ file, lane, source, intake, upload, place, options });
  } finally {
    lane.close();
  }
}

/**
 * Records that a recovery must not trust what the file has beyond the commit, until the next commit says otherwise. Without a
 * committed byte, or a commit in this boot, it would not do so anyway.
 */
async function distrustRest(
  { offset, snapshot, storeState }: StoredUpload,
  lane: DigestLane,
  { bootId }: Place,
  { commit }: WriteOptions,
): Promise<void> {
  if (offset === 0 || storeState === null || storeState !== bootId) return;
  await commit({ offset, snapshot: snapshot ?? (await lane.snapshot()), storeState: null });
}

/** One request that writes to an upload. */
interface Writing {
  file: LocalFile;
  lane: DigestLane;
  source: Readable;
  intake: Intake;
  upload: StoredUpload;
  place: Place;
  options: WriteOptions;
}

async function append(writing: Writing): Promise<Written> {
  const { lane, intake, upload, place, options } = writing;
  /** The bytes of an atomic write that is not committed, and cannot be any more. */
  let isUncommitted = options.verification !== undefined;
  const syncs = createSyncs(writing);
  const behind = createBehind(writing, syncs);
  options.onReading?.(behind.flush);
  const pause = place.surroundings.setTimeout(() => behind.look('pause'), PAUSE_MS);
  try {
    const result = await takeAll(writing, behind, pause);
    behind.end();
    place.surroundings.clearTimeout(pause);
    await behind.settled();
    behind.throwIfFailed();
    const { ended } = intake;
    if (isUncommitted && ended.kind !== 'end') {
      await cutBack(writing, upload.offset);
      return endUncommitted(ended, upload);
    }
    const { digests, snapshot } = await (result ?? readResult(lane));
    isUncommitted = false;
    await commitLast(writing, syncs, behind.progress, snapshot);
    refuseOverflow(ended, upload.id);
    const { written } = behind.progress;
    return {
      offset: written,
      digests: written === upload.size ? digests : null,
      interrupted: causeOf(ended),
    };
  } catch (error) {
    behind.end();
    place.surroundings.clearTimeout(pause);
    intake.stop(error);
    await behind.settled();
    if (isUncommitted) await cutBack(writing, upload.offset);
    else if (syncs.hasFailed) await cutBack(writing, behind.progress.synced);
    // A write that failed may have left a hole before what it did store.
    else if (isSystemError(error)) await cutBack(writing, behind.progress.written);
    throw isSystemError(error) ? toStoreError(error, `writing upload ${upload.id}`) : error;
  }
}

/**
 * Cuts off what this write wrote. Nothing where the upload had all its bytes before: then others may have taken its file over,
 * and what lies beyond is theirs.
 */
async function cutBack({ file, upload }: Writing, to: number): Promise<void> {
  if (upload.offset !== upload.size) await cutUnsynced(file, to);
}

/** Makes bytes durable. */
interface Syncs {
  /** A sync has failed: written bytes may be lost, though a later sync would succeed. */
  readonly hasFailed: boolean;
  /** Syncs the file's bytes. */
  file(): Promise<void>;
  /** Syncs the file's entry before the first commit. */
  entry(progress: Progress): Promise<void>;
}

function createSyncs({ file, place }: Writing): Syncs {
  let hasFailed = false;
  return {
    get hasFailed() {
      return hasFailed;
    },
    file: async () => {
      try {
        await file.sync();
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    },
    entry: async ({ committed }) => {
      if (committed === 0) await place.syncEntry();
    },
  };
}

/** Keeps the progress, and runs syncs and commits in the background, one at a time. */
interface Behind {
  readonly progress: Progress;
  /** Something in the background has failed; the intake was stopped. */
  readonly hasFailed: boolean;
  /** Waits until a batch is written, and records its bytes. Meanwhile no commit begins: the digest may have more of them than the file. */
  write(storing: () => Promise<number>): Promise<void>;
  /** Begins the step that is due, if any. */
  look(occasion: Occasion): void;
  readonly flush: Flush;
  /** From now on no step begins. */
  end(): void;
  /** Resolves when no step is running in the background. */
  settled(): Promise<void>;
  /** @throws the error of a step that failed in the background. */
  throwIfFailed(): void;
}

function createBehind({ lane, intake, upload, place, options }: Writing, syncs: Syncs): Behind {
  const { bootId, surroundings } = place;
  const isAtomic = options.verification !== undefined;
  let progress = startAt(upload.offset, surroundings.elapsedMs(), isAtomic);
  let writing: Promise<unknown> | undefined;
  let syncing: Promise<void> | undefined;
  let failure: Error | undefined;

  function look(occasion: Occasion): void {
    const next = nextBehind(progress, occasion, surroundings.elapsedMs());
    if (next !== 'rest') syncing = syncBehind(next === 'commit' ? lane.snapshot() : undefined);
  }

  /** Syncs in the background. Never rejects. @param snapshot - the digest state of all written bytes: with it, also commits. */
  async function syncBehind(snapshot: Promise<Uint8Array> | undefined): Promise<void> {
    const upTo = progress.written;
    progress = { ...progress, isSyncing: true };
    try {
      const [state] = await Promise.all([snapshot, syncs.file(), snapshot && syncs.entry(progress)]);
      progress = afterSync(progress, upTo);
      if (!state) return;
      await options.commit({ offset: upTo, snapshot: state, storeState: bootId });
      progress = afterCommit(progress, upTo, surroundings.elapsedMs());
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      progress = { ...progress, phase: 'failed' };
      intake.stop(error);
    } finally {
      progress = { ...progress, isSyncing: false };
      syncing = undefined;
    }
  }

  async function flush(): ReturnType<Flush> {
    if ((await intake.catchUp(QUIET_MS)) === 'ended') return 'ending';
    if (isAtomic) return 'committed';
    await writing?.catch(() => undefined);
    for (const upTo = progress.written; isFlushing(progress, upTo);) {
      // Where a batch is being written, the commit begins when the batch ends.
      progress = withCommitDue(progress);
      look('batch');
      await (syncing ?? writing)?.catch(() => undefined);
    }
    return progress.phase === 'taking' ? 'committed' : 'ending';
  }

  return {
    get progress() {
      return progress;
    },
    get hasFailed() {
      return failure !== undefined;
    },
    write: async (storing) => {
      progress = { ...progress, isWriting: true };
      const stored = storing();
      writing = stored;
      const bytes = await stored;
      writing = undefined;
      progress = afterBatch(progress, bytes);
    },
    look,
    flush,
    end: () => {
      if (progress.phase === 'taking') progress = { ...progress, phase: 'ending' };
    },
    settled: async () => syncing,
    throwIfFailed: () => {
      if (failure) throw failure;
    },
  };
}

/** Commits what is left, once the source has ended and no step is running. */
async function commitLast(
  { upload, place, options }: Writing,
  syncs: Syncs,
  progress: Progress,
  snapshot: Uint8Array,
): Promise<void> {
  const { bootId, hasLinks } = place;
  const about = { size: upload.size, isNew: upload.snapshot === null, hasLinks };
  const steps = lastSteps(progress, about);
  if (!steps.commits) return;
  await Promise.all([
    steps.syncs ? syncs.file() : undefined,
    steps.entryBy === 'us' ? syncs.entry(progress) : undefined,
  ]);
  const last: Commit = { offset: progress.written, snapshot, storeState: bootId };
  const optional = (): Promise<void> => syncs.entry(progress);
  await options.commit(steps.entryBy === 'publication' ? { ...last, optional } : last);
}

/** Writes and hashes all batches of the source. @returns the digests, where they were requested with the last bytes. */
async function takeAll(writing: Writing, behind: Behind, pause: Timer): Promise<Promise<Result> | undefined> {
  const { lane, source, intake, upload, place } = writing;
  let result: Promise<Result> | undefined;

  function free(batch: readonly Uint8Array[]): void {
    place.onFree?.(batch);
    freeChunks(source, batch);
  }

  /** Hashes and writes a batch, as much at once as there is room for. @returns how many bytes. */
  async function store(batch: readonly Uint8Array[]): Promise<number> {
    const { written } = behind.progress;
    let at = written;
    for (let left = batch; left.length > 0;) {
      const kept = await lane.keep(left);
      left = afterBytes(left, kept.length);
      if (kept.areCopies && left.length === 0) free(batch);
      // Released when the write has ended, also where a failure ends the append before: until then the kernel reads the bytes.
      const stored = writing.file.write(kept.bytes, at).finally(() => kept.release());
      at += kept.length;
      // Requested together with the last bytes, the digests need no further message to the worker thread.
      if (at === upload.size) result = readResult(lane);
      await Promise.all([stored, result]);
      if (!kept.areCopies) free(batch);
    }
    return at - written;
  }

  for (let batch = await intake.take(); batch && !behind.hasFailed; batch = await intake.take()) {
    const chunks = batch;
    await behind.write(() => store(chunks));
    behind.look('batch');
    pause.refresh();
    if (isFarBehind(behind.progress)) await behind.settled();
  }
  return result;
}

interface Result {
  digests: DigestSet;
  snapshot: Uint8Array;
}

async function readResult(lane: DigestLane): Promise<Result> {
  const [digests, snapshot] = await Promise.all([lane.digests(), lane.snapshot()]);
  return { digests, snapshot };
}
