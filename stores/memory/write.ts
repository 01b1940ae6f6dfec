/** Writes a request's bytes to the disk: write, hash, sync, commit; one step at a time, without timers. */
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { causeOf, endUncommitted, openIntake, refuseOverflow } from '../intake.ts';
import type { StoredUpload, WriteOptions, Written } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Mount } from './mount.ts';
import { pieceName } from './names.ts';
import { encodeState, lastPieceOf, requireLastPiece } from './pieces.ts';

/** What the steps of a write need. */
export interface Writing {
  mount: Mount;
  now: () => number;
  /** Commits when so many bytes have arrived since the last commit. */
  commitEveryBytes: number;
  /** Whether the last commit of an upload is optional; see `Commit.optional`. */
  lastIsOptional: boolean;
  surroundings: Surroundings;
}

/** Appends a source to an upload's pieces; see `Store.writeUpload`. */
export async function appendPieces(
  source: Readable,
  upload: StoredUpload,
  options: WriteOptions,
  writing: Writing,
): Promise<Written> {
  // The source may fail before the intake is open; the intake then sees that in its state.
  source.on('error', () => undefined);
  await requireLastPiece(writing.mount, upload);
  const lane = options.digests.open(upload.snapshot);
  try {
    return await append(lane, source, upload, options, writing);
  } finally {
    lane.close();
  }
}

/** The end of an upload's pieces, to which a write appends. */
interface Tail {
  readonly offset: number;
  readonly isCommitted: boolean;
  /** Appends a piece, and commits where that is due. */
  add(bytes: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  /** Commits at the end of a write; optionally, where that completes the upload. */
  commitLast(): Promise<void>;
  /** Removes the pieces since the last commit. */
  drop(): Promise<void>;
}

function openTail(
  lane: DigestLane,
  upload: StoredUpload,
  { commit: commitRow, verification }: WriteOptions,
  { mount, now, commitEveryBytes, lastIsOptional }: Writing,
): Tail {
  let offset = upload.offset;
  let committed = upload.offset;
  let last = lastPieceOf(upload);
  let unsynced: string[] = [];
  const isAtomic = verification !== undefined;

  async function add(bytes: Uint8Array): Promise<void> {
    const name = pieceName(upload.id, mount.nextNumber());
    const piece = {
      chunks: [bytes],
      size: bytes.length,
      start: offset,
      after: last,
      writtenAtMs: now(),
      isUnverified: isAtomic,
    };
    await mount.write(name, piece);
    await lane.update([bytes]);
    offset += bytes.length;
    last = name;
    unsynced.push(name);
    if (!isAtomic && offset - committed >= commitEveryBytes) await commit();
  }

  async function commit(): Promise<void> {
    if (unsynced.length > 0) await mount.sync(unsynced);
    const snapshot = await lane.snapshot();
    await commitRow({ offset, snapshot, storeState: encodeState(mount.bootId, last) });
    unsynced = [];
    committed = offset;
  }

  async function commitLast(): Promise<void> {
    if (!lastIsOptional || isAtomic || offset !== upload.size || offset === 0) return commit();
    const names = unsynced;
    const optional = (): Promise<void> => mount.sync(names);
    const snapshot = await lane.snapshot();
    await commitRow({ offset, snapshot, storeState: encodeState(mount.bootId, last), optional });
    committed = offset;
  }

  return {
    get offset() {
      return offset;
    },
    get isCommitted() {
      return offset === committed;
    },
    add,
    commit,
    commitLast,
    drop: async () => {
      for (const name of unsynced) await mount.remove(name);
    },
  };
}

async function append(
  lane: DigestLane,
  source: Readable,
  upload: StoredUpload,
  options: WriteOptions,
  writing: Writing,
): Promise<Written> {
  const { died } = writing.mount;
  const intake = openIntake(source, options, writing.surroundings);
  const tail = openTail(lane, upload, options, writing);
  const inTurn = createTurns();
  let failure: { error: unknown } | undefined;
  let isEnding = false;

  function fail(error: unknown): void {
    failure ??= { error };
    isEnding = true;
    intake.stop(error);
  }

  async function flush(): Promise<'committed' | 'ending'> {
    if ((await intake.catchUp(0)) === 'ended') return 'ending';
    return inTurn(async () => {
      if (isEnding) return 'ending';
      if (options.verification) return 'committed';
      try {
        if (!tail.isCommitted) await tail.commit();
        return 'committed';
      } catch (error) {
        fail(error);
        return 'ending';
      }
    });
  }

  async function finish(): Promise<Written> {
    isEnding = true;
    if (failure) throw failure.error;
    const end = intake.ended;
    if (options.verification && end.kind !== 'end') {
      await tail.drop();
      return endUncommitted(end, upload);
    }
    if (!tail.isCommitted || upload.snapshot === null) await tail.commitLast();
    refuseOverflow(end, upload.id);
    const digests = tail.offset === upload.size ? await lane.digests() : null;
    return { offset: tail.offset, digests, interrupted: causeOf(end) };
  }

  const onDeath = (): void => intake.stop(died.reason);
  died.addEventListener('abort', onDeath);
  options.onReading?.(flush);
  try {
    for (let batch = await intake.take(); batch && !failure; batch = await intake.take()) {
      const bytes = Buffer.concat(batch);
      await inTurn(() => tail.add(bytes));
    }
    return await inTurn(finish);
  } catch (error) {
    fail(error);
    throw error;
  } finally {
    died.removeEventListener('abort', onDeath);
  }
}

/** Runs one action after the other, also where one fails. */
function createTurns(): <T>(action: () => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return (action) => {
    const mine = turn.then(action);
    turn = mine.catch(() => undefined);
    return mine;
  };
}
