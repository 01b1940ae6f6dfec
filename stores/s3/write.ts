/** Writes bytes into a bucket: parts are filled in memory, sent a few at once, and committed in order. */
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { causeOf, endUncommitted, type Intake, openIntake, QUIET_MS, refuseOverflow } from '../intake.ts';
import { type Flush, StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import { split, whenAborted } from './batches.ts';
import type { BufferPool } from './buffers.ts';
import { createCopy, type Locate } from './copying.ts';
import { afterStep, type Filling, type Happening, nextStep, type Step } from './filling.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { type OpenPart, openPart } from './open-part.ts';
import { createOrder, createRecorder, type Order, type Recorder } from './recorder.ts';
import { createSending, type Sending } from './sending.ts';
import { decodeState, finalKeyOf, hasKey } from './state.ts';
import { readTail } from './tail.ts';

/** `wholeKey`: the key of the object that has all bytes already; null: there is none. */
export type WrittenToBucket = Written & { wholeKey: string | null };

/** What an upload is written with. */
export interface Place {
  objects: Objects;
  keys: Keys;
  buffers: BufferPool;
  /** `S3_PART_BYTES`. */
  partBytes: number;
  /** Resolves when everything that was committed before survives a power cut. */
  durable: () => Promise<void>;
  /** Where the bucket has the bytes already. */
  locate?: Locate;
}

/**
 * Appends a source to an upload at the upload's offset. Before it resolves, it commits everything that was stored. An atomic
 * write stores parts and tails as any other, and holds its commits back until they are made as one, or dropped.
 *
 * @throws StoreError; or the error of `options.commit`.
 */
export async function appendToBucket(
  source: Readable,
  upload: StoredUpload,
  place: Place,
  options: WriteOptions,
): Promise<WrittenToBucket> {
  const lane = options.digests.open(upload.snapshot);
  try {
    const writing = openWriting(source, upload, { lane, place, options });
    const filler = createFiller(writing);
    options.onReading?.(filler.flush);
    return await append(writing, filler);
  } finally {
    lane.close();
  }
}

/** One request that writes to an upload. */
interface Writing {
  upload: StoredUpload;
  lane: DigestLane;
  signal: AbortSignal;
  intake: Intake;
  objects: Objects;
  buffers: BufferPool;
  order: Order;
  recorder: Recorder;
  sending: Sending;
  /** The write is atomic. */
  isAtomic: boolean;
}

function openWriting(
  source: Readable,
  upload: StoredUpload,
  { lane, place, options }: { lane: DigestLane; place: Place; options: WriteOptions },
): Writing {
  const { objects, keys, buffers, partBytes, durable, locate } = place;
  const intake = openIntake(source, options, objects.surroundings);
  const stop = new AbortController();
  const order = createOrder((cause) => {
    intake.stop(cause);
    stop.abort(cause);
  });
  // A new upload's row must be durable before anything is stored: after a power cut, leftovers are found by the row.
  const noted = upload.storeState === null ? durable() : Promise.resolve();
  const snapshot = upload.snapshot ? Promise.resolve(upload.snapshot) : lane.snapshot();
  for (const promise of [noted, snapshot]) promise.catch(() => undefined);
  const state = decodeState(upload.storeState);
  // Unless the upload has its key already, each request stores a whole object under a key of its own, so that no late call
  // of one request overwrites the object of another.
  const key = hasKey(state)
    ? finalKeyOf(keys, upload.id, state)
    : keys.final(upload.id, objects.surroundings.randomHex(6));
  const isAtomic = options.verification !== undefined;
  const { commit: commitRow } = options;
  const recorder = createRecorder({
    upload,
    key,
    partBytes,
    objects,
    order,
    commitRow,
    durable,
    snapshot,
    holdsBack: isAtomic,
  });
  const copy = locate && createCopy(objects, partBytes, locate);
  const sending = createSending({ upload, objects, keys, key, lane, order, recorder, noted, copy, stop: stop.signal });
  return { upload, lane, signal: options.signal, intake, objects, buffers, order, recorder, sending, isAtomic };
}

/** Takes the steps by which bytes fill parts. */
interface Filler {
  /** Aborted when the open part is to make room; undefined where no part is open. */
  readonly asked: AbortSignal | undefined;
  takeIn(batch: Uint8Array[]): Promise<void>;
  makeRoom(): Promise<void>;
  /** Stores the rest when the source has ended. No flush begins from now on. */
  end(): Promise<void>;
  /** After a failure: returns the open part's memory once no call uses it. */
  giveUp(): Promise<void>;
  readonly flush: Flush;
}

function createFiller(writing: Writing): Filler {
  const { upload, intake, order, recorder, sending, isAtomic } = writing;
  let filling: Filling = {
    size: upload.size,
    sizes: recorder.row.state.sizes,
    taken: upload.offset,
    open: null,
    isMultipart: recorder.row.state.multipart !== null,
  };
  let part: OpenPart | undefined;
  let madeRoom = false;
  let isEnding = false;
  /** A tail can only be stored between batches, when part and digest are at the same byte. */
  const inTurn = createTurns();

  /** Takes the next step. @returns the step, and the bytes that are left. */
  async function take(happening: Happening, chunks: Uint8Array[] = []): Promise<[Step, Uint8Array[]]> {
    const step = nextStep(filling, happening);
    if (step.kind === 'refuse') {
      throw new StoreError('overflow', `upload ${upload.id}: more parts than a bucket takes`);
    }
    if (step.kind === 'open') {
      part = await openNext(writing, step, { taken: filling.taken, again: madeRoom });
      madeRoom = false;
    }
    filling = afterStep(filling, step);
    const rest = part && (await act(sending, step, part, chunks));
    if (!filling.open) part = undefined;
    return [step, rest ?? chunks];
  }

  async function fill(batch: Uint8Array[]): Promise<void> {
    for (let chunks = batch; !order.failure;) {
      const waiting = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      const [step, rest] = await take({ kind: 'bytes', waiting }, chunks);
      if (step.kind === 'rest') return;
      chunks = rest;
    }
  }

  return {
    get asked() {
      return part?.room.asked;
    },
    takeIn: (batch) => inTurn(() => fill(batch)),
    makeRoom: async () => {
      await inTurn(async () => void (await take({ kind: 'memory' })));
      madeRoom = true;
    },
    end: async () => {
      isEnding = true;
      await take({ kind: 'end' });
    },
    giveUp: async () => {
      isEnding = true;
      await order.settled();
      part?.room.release();
    },
    flush: async () => {
      const caughtUp = await intake.catchUp(QUIET_MS);
      if (caughtUp === 'ended') return 'ending';
      if (isAtomic) return 'committed';
      await inTurn(async () => {
        const isBehind = filling.taken > recorder.row.committed;
        if (caughtUp === 'quiet' && isBehind && !isEnding && !order.failure) await take({ kind: 'flush' });
      });
      await order.settled();
      if (isEnding || order.failure) return 'ending';
      await recorder.makeDurable();
      return 'committed';
    },
  };
}

/** Takes a step with the open part. @returns the bytes that are left. */
async function act(sending: Sending, step: Step, open: OpenPart, chunks: Uint8Array[]): Promise<Uint8Array[]> {
  if (step.kind === 'send') sending.send(open, step.as);
  if (step.kind === 'storeTail') {
    const stored = sending.storeTail(open);
    if (!step.closes) return chunks;
    await stored;
    open.room.release();
  }
  if (step.kind !== 'fill') return chunks;
  const [fitting, rest] = split(chunks, step.bytes);
  open.room.grew(step.bytes);
  await open.add(fitting);
  return rest;
}

/** Opens a part, and reads back its bytes that were committed before. */
async function openNext(
  { lane, signal, objects, buffers, order, recorder, sending }: Writing,
  { place, readsBack, isOneOfMany }: Step & { kind: 'open' },
  { taken, again }: { taken: number; again: boolean },
): Promise<OpenPart> {
  await sending.hasPlace();
  // Begins the multipart upload while the part waits for memory.
  if (isOneOfMany) void recorder.multipart();
  const room = await buffers.reserve(place.end - place.start, again, signal);
  try {
    const opened = openPart(place, room, lane);
    if (readsBack) {
      await order.settled();
      order.throwIfFailed();
      await opened.addAgain(await readTail(objects, recorder.row.state.tail, place.start, taken, signal));
    }
    return opened;
  } catch (error) {
    room.release();
    throw error;
  }
}

async function append(writing: Writing, filler: Filler): Promise<WrittenToBucket> {
  const { upload, lane, intake, order, recorder, sending, isAtomic } = writing;
  try {
    await takeAll(intake, order, filler);
    if (isAtomic && !order.failure && intake.ended.kind !== 'end') return await endAtomic(writing, filler);
    await filler.end();
    await order.settled();
    order.throwIfFailed();
    await recorder.commitHeld();
    if (upload.snapshot === null && !recorder.hasCommitted) await recorder.commitNothing();
    const { ended } = intake;
    refuseOverflow(ended, upload.id);
    const { committed, state } = recorder.row;
    return {
      offset: committed,
      digests: committed === upload.size ? await lane.digests() : null,
      wholeKey: state.whole ? state.key : null,
      interrupted: causeOf(ended),
    };
  } catch (error) {
    order.fail(error);
    await filler.giveUp();
    await sending.settled();
    // Where they cannot be removed now, they are found when the upload ends.
    await recorder.removeHeld().catch(() => undefined);
    throw error;
  }
}

/**
 * Ends an atomic write that does not count, and removes what it stored. No call is aborted: a late one could replace a part
 * that the next request stores under the same number. Parts of a multipart upload stay until others replace them, or until it
 * is completed or aborted.
 */
async function endAtomic(
  { upload, intake, order, recorder, sending }: Writing,
  filler: Filler,
): Promise<WrittenToBucket> {
  await filler.giveUp();
  await sending.settled();
  const removed = recorder.removeHeld();
  await removed.catch(() => undefined);
  const written = endUncommitted(intake.ended, upload);
  // Whatever failed, the next lease has to note that something may be left.
  await removed;
  order.throwIfFailed();
  return { ...written, wholeKey: null };
}

/** Takes all batches of the source, until its end or a failure; makes room when the open part is asked to. */
async function takeAll(intake: Intake, order: Order, filler: Filler): Promise<void> {
  let taking = intake.take();
  for (;;) {
    const asked = filler.asked && whenAborted(filler.asked);
    const batch = await (asked ? Promise.race([taking, asked.promise]) : taking);
    asked?.forget();
    if (batch === null || order.failure) return;
    if (batch === undefined) {
      await filler.makeRoom();
    } else {
      await filler.takeIn(batch);
      taking = intake.take();
    }
  }
}

/** Runs actions one after the other; a failed one does not keep the next from running. */
function createTurns(): (action: () => Promise<void>) => Promise<void> {
  let lastTurn: Promise<void> = Promise.resolve();
  return (action) => {
    const run = lastTurn.then(action);
    lastTurn = run.catch(() => undefined);
    return run;
  };
}
