/** The way of bytes into a bucket: parts in memory, sent a few at once, committed in order. */
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { openIntake } from '../intake.ts';
import { type Commit, StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import { split, whenAborted } from './batches.ts';
import type { BufferPool } from './buffers.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { type OpenPart, openPart } from './open-part.ts';
import { choosePartSizes, placeOf } from './part-sizes.ts';
import { decodeState, encodeState, type Tail, type UploadState } from './state.ts';
import { readTail } from './tail.ts';

/** Parts of one upload on their way at once. */
const SENDING_AT_ONCE = 4;

/** `storedWhole`: all bytes are under the final key already. */
export type WrittenToBucket = Written & { storedWhole: boolean };

/** What an upload is written with. */
export interface Place {
  objects: Objects;
  keys: Keys;
  buffers: BufferPool;
  /** Resolves when everything that was committed before survives a power cut. */
  durable: () => Promise<void>;
}

/**
 * Appends a source to an upload, from the upload's offset on. Ends with a commit of
 * everything that was stored.
 *
 * @throws StoreError; or what `options.commit` threw.
 */
export async function appendToBucket(
  source: Readable,
  upload: StoredUpload,
  place: Place,
  options: WriteOptions,
): Promise<WrittenToBucket> {
  const lane = options.digests.open(upload.snapshot);
  try {
    return await append(lane, source, upload, place, options);
  } finally {
    lane.close();
  }
}

async function append(
  lane: DigestLane,
  source: Readable,
  upload: StoredUpload,
  { objects, keys, buffers, durable }: Place,
  options: WriteOptions,
): Promise<WrittenToBucket> {
  const intake = openIntake(source, options, objects.surroundings);
  const finalKey = keys.final(upload.id);
  let state: UploadState = decodeState(upload.storeState) ?? {
    sizes: choosePartSizes(upload.size),
    multipart: null,
    doubtful: false,
    tail: null,
    old: [],
    whole: false,
  };
  /** The row of a new upload: before anything is stored, so that whatever a power cut leaves is looked for. */
  const noted = upload.storeState === null ? durable() : Promise.resolve();
  noted.catch(() => undefined);
  /** Superseded before this request. */
  let outdated = state.old;
  /** Bytes taken, and bytes committed. */
  let offset = upload.offset;
  let committed = upload.offset;
  /** The digest state there. */
  let committedSnapshot: Promise<Uint8Array> = upload.snapshot ? Promise.resolve(upload.snapshot) : lane.snapshot();
  committedSnapshot.catch(() => undefined);
  let hasCommitted = false;
  let failure: { cause: unknown } | undefined;
  const stopSending = new AbortController();
  const sending = new Set<Promise<void>>();
  let multipart: Promise<string> | undefined;
  let part: OpenPart | undefined;
  let madeRoom = false;
  let isEnding = false;
  /** The tail that is stored of the open part while more is added to it. */
  let tailOnItsWay: Promise<void> | undefined;

  function fail(cause: unknown): void {
    if (failure) return;
    failure = { cause };
    intake.stop(cause);
    stopSending.abort(cause);
  }

  /** Steps that move the ledger: one after the other, and none after one that failed. */
  let lastStep: Promise<void> = Promise.resolve();
  function inOrder(step: () => Promise<void>): Promise<void> {
    lastStep = lastStep.then(async () => {
      if (failure) return;
      try {
        await step();
      } catch (error) {
        fail(error);
      }
    });
    return lastStep;
  }

  async function commit(
    to: number,
    snapshot: Uint8Array,
    change: Partial<UploadState>,
    row?: Commit['part'],
  ): Promise<void> {
    const next = { ...state, ...change };
    next.old = state.old.filter((key) => !outdated.includes(key));
    if (state.tail && state.tail.key !== next.tail?.key) next.old.push(state.tail.key);
    const nothing = to === 0 && next.old.length === 0 && next.multipart === null && !next.doubtful;
    await options.commit({
      offset: to,
      snapshot,
      bootId: null,
      storeState: nothing ? null : encodeState(next),
      ...(row ? { part: row } : {}),
    });
    hasCommitted = true;
    committed = to;
    committedSnapshot = Promise.resolve(snapshot);
    state = next;
    const keysToRemove = outdated;
    outdated = [];
    // What an error leaves here, a sweep removes.
    await Promise.all(keysToRemove.map((key) => objects.remove(key).catch(() => undefined)));
  }

  /** Begins the multipart upload, once; recorded before anything is stored in it. */
  function beginMultipart(): Promise<string> {
    multipart ??= state.multipart === null ? createMultipart() : Promise.resolve(state.multipart);
    // Where it fails, whoever needs it hears of it.
    multipart.catch(() => undefined);
    return multipart;
  }

  async function createMultipart(): Promise<string> {
    let id: string | undefined;
    await inOrder(async () => {
      const { doubtful } = state;
      await commit(committed, await committedSnapshot, { doubtful: true });
      await durable();
      const begun = await objects.createMultipart(finalKey, upload);
      id = begun.id;
      await commit(committed, await committedSnapshot, { multipart: id, doubtful: doubtful || begun.again });
      // Before it has a part: one that nobody knows of is only ended if it has none.
      await durable();
    });
    if (failure) throw failure.cause;
    if (id === undefined) throw new Error('the upload was not begun');
    return id;
  }

  async function beginPart(): Promise<OpenPart> {
    const at = placeOf(state.sizes, offset);
    if (!at) throw new StoreError('overflow', `upload ${upload.id}: more parts than a bucket takes`);
    const end = upload.size === null ? at.end : Math.min(at.end, upload.size);
    // It may be known by now that one part is not enough: its beginning goes on beside.
    if (upload.size !== null && upload.size > at.end) void beginMultipart();
    const room = await buffers.reserve(end - at.start, madeRoom, options.signal);
    madeRoom = false;
    try {
      const opened = openPart({ ...at, end }, room, lane);
      if (offset > at.start) {
        await lastStep;
        if (failure) throw failure.cause;
        await opened.addAgain(await readTail(objects, state.tail, at.start, offset, options.signal));
      }
      return opened;
    } catch (error) {
      room.release();
      throw error;
    }
  }

  /** A part is whole: off it goes. */
  function send(whole: OpenPart): void {
    whole.room.seal();
    const snapshot = lane.snapshot();
    const md5 = whole.md5();
    snapshot.catch(() => undefined);
    const isAll = whole.start === 0 && whole.end === upload.size && state.multipart === null && !multipart;
    // Before this part's own step: recorded first.
    const begun = isAll ? undefined : beginMultipart();
    const tail = tailOnItsWay;
    const etag = (async () => {
      try {
        const body = { bytes: whole.bytes, md5: await md5, onFailure: whole.room.spoil };
        if (begun) return await objects.uploadPart(finalKey, await begun, whole.number, body, stopSending.signal);
        await noted;
        await objects.putFinal(finalKey, upload, body);
        return undefined;
      } finally {
        // Its beginning may be read still.
        await tail;
        whole.room.release();
      }
    })();
    const settled: Promise<void> = etag.then(
      () => void sending.delete(settled),
      () => void sending.delete(settled),
    );
    sending.add(settled);
    void inOrder(async () => {
      const row = { number: whole.number, start: whole.start, size: whole.end - whole.start };
      const answer = await etag;
      if (answer === undefined) {
        await commit(whole.end, await snapshot, { tail: null, whole: true });
      } else {
        await commit(whole.end, await snapshot, { tail: null }, { ...row, etag: answer, snapshot: await snapshot });
      }
    });
  }

  /** Stores what a part has so far; more may be added to it meanwhile. */
  function storeTail(open: OpenPart): Promise<void> {
    const snapshot = lane.snapshot();
    const md5 = open.md5();
    for (const promise of [snapshot, md5]) promise.catch(() => undefined);
    const { start, bytes } = open;
    const end = start + bytes.length;
    tailOnItsWay = inOrder(async () => {
      if (end <= committed) return;
      const key = keys.tail(upload.id, start, objects.surroundings.randomHex(6));
      const tail: Tail = { key, start, size: bytes.length, md5: await md5 };
      await noted;
      await objects.putTail(key, { bytes, md5: tail.md5, onFailure: open.room.spoil });
      await commit(end, await snapshot, { tail });
    });
    return tailOnItsWay;
  }

  /** Stores what a part has so far, so that memory can forget it. */
  async function park(open: OpenPart): Promise<void> {
    await storeTail(open);
    open.room.release();
  }

  /** Tails are stored between batches: then part and digest are at the same byte. */
  let lastTurn: Promise<void> = Promise.resolve();
  function inTurn(action: () => Promise<void>): Promise<void> {
    const run = lastTurn.then(action);
    lastTurn = run.catch(() => undefined);
    return run;
  }

  async function flush(): Promise<'committed' | 'ending'> {
    const caughtUp = await intake.catchUp();
    if (caughtUp === 'ended') return 'ending';
    await inTurn(async () => {
      if (caughtUp === 'quiet' && part && offset > committed && !isEnding && !failure) void storeTail(part);
    });
    await lastStep;
    if (isEnding || failure) return 'ending';
    const superseded = state.old;
    await durable();
    // By rows that are there for good now: the next commit removes them.
    outdated = superseded;
    return 'committed';
  }
  options.onReading?.(flush);

  async function takeIn(batch: Uint8Array[]): Promise<void> {
    for (let chunks = batch; chunks.length > 0 && !failure;) {
      while (!part && sending.size >= SENDING_AT_ONCE) await Promise.race(sending);
      part ??= await beginPart();
      const [fitting, rest] = split(chunks, part.end - offset);
      const bytes = fitting.reduce((sum, chunk) => sum + chunk.length, 0);
      offset += bytes;
      part.room.grew(bytes);
      await part.add(fitting);
      if (offset === part.end) {
        send(part);
        part = undefined;
      }
      chunks = rest;
    }
  }

  try {
    let taking = intake.take();
    for (;;) {
      const asked = part && whenAborted(part.room.asked);
      const batch = await (asked ? Promise.race([taking, asked.promise]) : taking);
      asked?.forget();
      if (batch === null || failure) break;
      if (batch === undefined) {
        await inTurn(async () => {
          if (part) await park(part);
          part = undefined;
        });
        madeRoom = true;
        continue;
      }
      await inTurn(() => takeIn(batch));
      taking = intake.take();
    }
    isEnding = true;
    if (part) await park(part);
    await lastStep;
    if (failure) throw failure.cause;
    if (upload.snapshot === null && !hasCommitted) await commit(0, await committedSnapshot, {});
    const end = intake.ended;
    if (end.kind === 'overflow') {
      throw new StoreError('overflow', `upload ${upload.id}: more bytes than were announced`);
    }
    return {
      offset: committed,
      digests: committed === upload.size ? await lane.digests() : null,
      storedWhole: state.whole,
      interrupted: end.kind === 'end' ? undefined : end.cause,
    };
  } catch (error) {
    isEnding = true;
    fail(error);
    await lastStep;
    part?.room.release();
    await Promise.all(sending);
    throw error;
  }
}
