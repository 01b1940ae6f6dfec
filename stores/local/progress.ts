/**
 * Decides what is due while a request writes to a file. These functions only compute, they neither wait nor call anything:
 * `write.ts` takes the steps.
 *
 * | occasion          | a commit is due        | enough is unsynced      | else | a batch, or a sync, is running   |
 * |-------------------|------------------------|-------------------------|------|----------------------------------|
 * | after a batch     | sync and commit behind | 8 MiB: sync behind      | rest | rest                             |
 * | in a pause        | sync and commit behind | 256 KiB: sync behind    | rest | rest                             |
 *
 * An atomic write commits nothing behind, but syncs as often. "Behind" means in the background. A flush makes a commit due at once, and looks again after each running step, until its
 * bytes are committed. When the source has ended, `write.ts` waits for the running step; then `lastSteps` says what is left
 * to do. After a failure nothing is left to do, but the bytes of a failed sync are cut off.
 *
 * A power cut may lose bytes beyond `synced`. No client knows of bytes beyond `committed`.
 */

/** The most bytes that are hashed again after a crash. */
export const COMMIT_EVERY_BYTES = 64 * 1024 * 1024;
/** A slow upload commits at least this often, so that others see that bytes arrive. */
const COMMIT_EVERY_MS = 10_000;
/** The first commit comes sooner: only what follows one can be recovered after a crash. */
const FIRST_COMMIT_MS = 1_000;
/** How many unsynced bytes cause a sync in the background, by occasion. */
const SYNC_BYTES = {
  /** Often enough that the last sync, before the answer, has little to write, whatever the size of the file. */
  batch: 8 * 1024 * 1024,
  /** In a pause, so that a slow connection need not wait for a sync at its end. */
  pause: 256 * 1024,
};

export type Occasion = keyof typeof SYNC_BYTES;

/** The progress of a write. Its offsets are those of the first byte that is not yet written, synced or committed. */
export interface Progress {
  readonly written: number;
  readonly synced: number;
  readonly committed: number;
  readonly commitDueAtMs: number;
  /** Nothing is committed before the source has ended. */
  readonly isAtomic: boolean;
  /** A batch is being written: the digest may be ahead of `written`, so no commit may use it. */
  readonly isWriting: boolean;
  /** A sync, with or without a commit, is running in the background. */
  readonly isSyncing: boolean;
  /** In `ending` and `failed`, nothing begins in the background. */
  readonly phase: 'taking' | 'ending' | 'failed';
}

/** The progress at the beginning of a request. */
export function startAt(offset: number, nowMs: number, isAtomic = false): Progress {
  return {
    written: offset,
    synced: offset,
    committed: offset,
    commitDueAtMs: nowMs + FIRST_COMMIT_MS,
    isAtomic,
    isWriting: false,
    isSyncing: false,
    phase: 'taking',
  };
}

/** Which step has to begin in the background. */
export function nextBehind(progress: Progress, occasion: Occasion, nowMs: number): 'sync' | 'commit' | 'rest' {
  const { written, synced, committed, commitDueAtMs, isAtomic, isWriting, isSyncing, phase } = progress;
  if (isWriting || isSyncing || phase !== 'taking') return 'rest';
  if (!isAtomic && (written - committed >= COMMIT_EVERY_BYTES || nowMs >= commitDueAtMs)) return 'commit';
  return written - synced >= SYNC_BYTES[occasion] ? 'sync' : 'rest';
}

/** Whether the disk is so far behind that the source has to wait: otherwise memory would fill with unwritten pages. */
export function isFarBehind({ written, synced }: Progress): boolean {
  return written - synced >= COMMIT_EVERY_BYTES;
}

/** Whether a flush of the bytes before `upTo` still has to wait. */
export function isFlushing({ committed, phase }: Progress, upTo: number): boolean {
  return committed < upTo && phase === 'taking';
}

/** The progress with a commit due at once, for a flush. */
export function withCommitDue(progress: Progress): Progress {
  return { ...progress, commitDueAtMs: -Infinity };
}

/** The progress after a batch of so many bytes was written. */
export function afterBatch(progress: Progress, bytes: number): Progress {
  return { ...progress, written: progress.written + bytes, isWriting: false };
}

/** The progress after the bytes before `upTo` were synced. */
export function afterSync(progress: Progress, upTo: number): Progress {
  return { ...progress, synced: upTo };
}

/** The progress after the bytes before `upTo` were committed. */
export function afterCommit(progress: Progress, upTo: number, nowMs: number): Progress {
  return { ...progress, committed: upTo, commitDueAtMs: nowMs + COMMIT_EVERY_MS };
}

/** What is left to do once the source has ended, and no step is running. */
export interface LastSteps {
  /** Syncs the file. */
  readonly syncs: boolean;
  /**
   * Who makes the file's entry durable. The publication does so where it links a complete file to its final name and
   * syncs the folder. Without hard links it renames the file: then the write does it.
   */
  readonly entryBy: 'us' | 'publication';
  /** Commits. Also without new bytes, where the upload has no commit yet. */
  readonly commits: boolean;
}

/** What is left to do; see LastSteps. */
export function lastSteps(
  { written, synced, committed }: Progress,
  { size, isNew, hasLinks }: { size: number | null; isNew: boolean; hasLinks: boolean },
): LastSteps {
  const commits = written > committed || isNew;
  return {
    commits,
    syncs: commits && written > synced,
    entryBy: written === size && hasLinks ? 'publication' : 'us',
  };
}
