/**
 * How far a request's bytes have come in a file, and what is due. Nothing here waits or calls: `write.ts` takes each
 * step.
 *
 * | occasion          | a commit is due        | enough is unsynced      | else | a batch, or a sync, is under way |
 * |-------------------|------------------------|-------------------------|------|----------------------------------|
 * | after a batch     | sync and commit behind | 8 MiB: sync behind      | rest | rest                             |
 * | in a pause        | sync and commit behind | 256 KiB: sync behind    | rest | rest                             |
 *
 * A flush makes a commit due at once, and looks again after whatever is under way, until its bytes are committed.
 * When the source has ended, what is under way is waited for; `lastSteps` says what is left then. When something has
 * failed, nothing is left to be done; of a sync that failed, what it was for is cut off.
 *
 * Bytes beyond `synced` may be lost, and no client was told of bytes beyond `committed`.
 */

/** Most that is hashed again after a crash. */
export const COMMIT_EVERY_BYTES = 64 * 1024 * 1024;
/** A slow upload commits at least this often, so that others see that bytes arrive. */
const COMMIT_EVERY_MS = 10_000;
/** The first commit comes sooner: only what follows one can be recovered after a crash. */
const FIRST_COMMIT_MS = 1_000;
/** What has to be unsynced for a sync in the background, by occasion. */
const SYNC_BYTES = {
  /**
   * Write-back starts this often, so that the sync before the answer finds little
   * left to do, whatever the size of the file.
   */
  batch: 8 * 1024 * 1024,
  /** In a pause: then a slow connection waits for nothing at its end. */
  pause: 256 * 1024,
};

export type Occasion = keyof typeof SYNC_BYTES;

/** Offsets are those of the first byte that is not yet written, synced or committed. */
export interface Progress {
  readonly written: number;
  readonly synced: number;
  readonly committed: number;
  readonly commitDueAtMs: number;
  /** A batch is being written: the digest may be ahead of `written`, so no commit may use it. */
  readonly isWriting: boolean;
  /** A sync, with or without a commit, is under way in the background. */
  readonly isSyncing: boolean;
  /** Once it is not `taking`, nothing begins in the background. */
  readonly phase: 'taking' | 'ending' | 'failed';
}

/** At the beginning of a request. */
export function startAt(offset: number, nowMs: number): Progress {
  return {
    written: offset,
    synced: offset,
    committed: offset,
    commitDueAtMs: nowMs + FIRST_COMMIT_MS,
    isWriting: false,
    isSyncing: false,
    phase: 'taking',
  };
}

/** What is to begin in the background. */
export function nextBehind(progress: Progress, occasion: Occasion, nowMs: number): 'sync' | 'commit' | 'rest' {
  const { written, synced, committed, commitDueAtMs, isWriting, isSyncing, phase } = progress;
  if (isWriting || isSyncing || phase !== 'taking') return 'rest';
  if (written - committed >= COMMIT_EVERY_BYTES || nowMs >= commitDueAtMs) return 'commit';
  return written - synced >= SYNC_BYTES[occasion] ? 'sync' : 'rest';
}

/** Whether the disk is slower than the connection: then the source waits here, not at the end with all memory dirty. */
export function isFarBehind({ written, synced }: Progress): boolean {
  return written - synced >= COMMIT_EVERY_BYTES;
}

/** Whether a flush of the bytes before `upTo` has more to wait for. */
export function isFlushing({ committed, phase }: Progress, upTo: number): boolean {
  return committed < upTo && phase === 'taking';
}

/** A flush was asked for. */
export function withCommitDue(progress: Progress): Progress {
  return { ...progress, commitDueAtMs: -Infinity };
}

export function afterBatch(progress: Progress, bytes: number): Progress {
  return { ...progress, written: progress.written + bytes, isWriting: false };
}

/** The bytes before `upTo` are synced. */
export function afterSync(progress: Progress, upTo: number): Progress {
  return { ...progress, synced: upTo };
}

/** The bytes before `upTo` are committed. */
export function afterCommit(progress: Progress, upTo: number, nowMs: number): Progress {
  return { ...progress, committed: upTo, commitDueAtMs: nowMs + COMMIT_EVERY_MS };
}

/** What is left to be done once the source has ended, and nothing is under way. */
export interface LastSteps {
  /** Syncs the file. */
  readonly syncs: boolean;
  /**
   * What makes the file's entry durable. `publication` gives a complete file its final name and syncs the folder
   * then; a rename can be lost.
   */
  readonly entryBy: 'us' | 'publication';
  /** Commits: also nothing, of an upload of which nothing was committed yet. */
  readonly commits: boolean;
}

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
