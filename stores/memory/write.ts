/** The way of bytes onto the disk: write, hash, sync, commit; one step at a time, and no timer decides. */
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { openIntake } from '../intake.ts';
import { StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Mount } from './disk.ts';
import { pieceName } from './names.ts';
import { lastPieceOf, requireLastPiece } from './pieces.ts';

export interface Writing {
  mount: Mount;
  now: () => number;
  /** Commits when so many bytes have come since the last commit. */
  commitEveryBytes: number;
  surroundings: Surroundings;
}

/** Appends a source to an upload's pieces; see `Store.writeUpload`. */
export async function appendPieces(
  source: Readable,
  upload: StoredUpload,
  options: WriteOptions,
  writing: Writing,
): Promise<Written> {
  // It may break before the intake is open, which finds out from its state.
  source.on('error', () => undefined);
  await requireLastPiece(writing.mount, upload);
  const lane = options.digests.open(upload.snapshot);
  try {
    return await append(lane, source, upload, options, writing);
  } finally {
    lane.close();
  }
}

async function append(
  lane: DigestLane,
  source: Readable,
  upload: StoredUpload,
  options: WriteOptions,
  { mount, now, commitEveryBytes, surroundings }: Writing,
): Promise<Written> {
  const intake = openIntake(source, options, surroundings);
  const onDeath = (): void => intake.stop(mount.died.reason);
  mount.died.addEventListener('abort', onDeath);
  const inTurn = createTurns();
  let offset = upload.offset;
  let committed = upload.offset;
  let last = lastPieceOf(upload);
  let unsynced: string[] = [];
  let failure: { error: unknown } | undefined;
  let isEnding = false;

  async function add(batch: Uint8Array[]): Promise<void> {
    const bytes = Buffer.concat(batch);
    const name = pieceName(upload.id, mount.nextNumber());
    const piece = { chunks: [bytes], size: bytes.length, start: offset, after: last, writtenAtMs: now() };
    await mount.write(name, piece);
    await lane.update([bytes]);
    offset += bytes.length;
    last = name;
    unsynced.push(name);
    if (offset - committed >= commitEveryBytes) await commit();
  }

  async function commit(): Promise<void> {
    if (unsynced.length > 0) await mount.sync(unsynced);
    const snapshot = await lane.snapshot();
    await options.commit({ offset, snapshot, bootId: mount.bootId, storeState: last });
    unsynced = [];
    committed = offset;
  }

  function fail(error: unknown): void {
    failure ??= { error };
    isEnding = true;
    intake.stop(error);
  }

  async function flush(): Promise<'committed' | 'ending'> {
    if ((await intake.catchUp()) === 'ended') return 'ending';
    return inTurn(async () => {
      if (isEnding) return 'ending';
      try {
        if (offset > committed) await commit();
        return 'committed';
      } catch (error) {
        fail(error);
        return 'ending';
      }
    });
  }
  options.onReading?.(flush);

  async function finish(): Promise<Written> {
    isEnding = true;
    if (failure) throw failure.error;
    if (offset > committed || upload.snapshot === null) await commit();
    const end = intake.ended;
    if (end.kind === 'overflow') {
      throw new StoreError('overflow', `upload ${upload.id}: more bytes than were announced`);
    }
    const digests = offset === upload.size ? await lane.digests() : null;
    return { offset, digests, interrupted: end.kind === 'end' ? undefined : end.cause };
  }

  try {
    for (let batch = await intake.take(); batch && !failure; batch = await intake.take()) {
      const taken = batch;
      await inTurn(() => add(taken));
    }
    return await inTurn(finish);
  } catch (error) {
    fail(error);
    throw error;
  } finally {
    mount.died.removeEventListener('abort', onDeath);
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
