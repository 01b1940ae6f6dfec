/** How bytes get into a bucket: parts in memory, sent a few at once, committed in order. */
import type { Readable } from 'node:stream';
import type { DigestLane } from '../digests/digests.ts';
import { type Intake, openIntake } from '../intake.ts';
import { type Flush, StoreError, type StoredUpload, type WriteOptions, type Written } from '../store.ts';
import { split, whenAborted } from './batches.ts';
import type { BufferPool } from './buffers.ts';
import { afterStep, type Filling, type Happening, nextStep, type Step } from './filling.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import { type OpenPart, openPart } from './open-part.ts';
import { createOrder, createRecorder, type Order, type Recorder } from './recorder.ts';
import { createSending, type Sending } from './sending.ts';
import { decodeState, finalKeyOf, hasKey } from './state.ts';
import { readTail } from './tail.ts';

/** `wholeKey`: all bytes are under this key already. */
export type WrittenToBucket = Written & { wholeKey: string | null };

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
}

function openWriting(
  source: Readable,
  upload: StoredUpload,
  { lane, place, options }: { lane: DigestLane; place: Place; options: WriteOptions },
): Writing {
  const { objects, keys, buffers, durable } = place;
  const intake = openIntake(source, options, objects.surroundings);
  const stop = new AbortController();
  const order = createOrder((cause) => {
    intake.stop(cause);
    stop.abort(cause);
  });
  /** The row of a new upload: before anything is stored, so that whatever a power cut leaves is looked for. */
  const noted = upload.storeState === null ? durable() : Promise.resolve();
  const snapshot = upload.snapshot ? Promise.resolve(upload.snapshot) : lane.snapshot();
  for (const promise of [noted, snapshot]) promise.catch(() => undefined);
  const state = decodeState(upload.storeState);
  // What this request stores whole is no other's to overwrite, nor does it come in the place of another's later.
  const key = hasKey(state)
    ? finalKeyOf(keys, upload.id, state)
    : keys.final(upload.id, objects.surroundings.randomHex(6));
  const recorder = createRecorder({ upload, key, objects, order, commitRow: options.commit, durable, snapshot });
  const sending = createSending({ upload, objects, keys, key, lane, order, recorder, noted, stop: stop.signal });
  return { upload, lane, signal: options.signal, intake, objects, buffers, order, recorder, sending };
}

/** Takes the steps by which bytes fill parts. */
interface Filler {
  /** Aborted when the open part is to make room; none is open: undefined. */
  readonly asked: AbortSignal | undefined;
  takeIn(batch: Uint8Array[]): Promise<void>;
  makeRoom(): Promise<void>;
  /** The source has ended: no flush begins from now on. */
  end(): Promise<void>;
  /** After a failure: returns the open part's room once no call uses it. */
  giveUp(): Promise<void>;
  readonly flush: Flush;
}

function createFiller(writing: Writing): Filler {
  const { upload, intake, order, recorder, sending } = writing;
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
  /** Between batches part and digest are at the same byte: only then a tail can be stored. */
  const inTurn = createTurns();

  /** Takes the one step that is next. @returns the bytes that are left. */
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
      const caughtUp = await intake.catchUp();
      if (caughtUp === 'ended') return 'ending';
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

/** Opens a part, with the bytes that were committed of it before. */
async function openNext(
  { lane, signal, objects, buffers, order, recorder, sending }: Writing,
  { place, readsBack, isOneOfMany }: Step & { kind: 'open' },
  { taken, again }: { taken: number; again: boolean },
): Promise<OpenPart> {
  await sending.hasPlace();
  // The part waits for room meanwhile.
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

async function append(
  { upload, lane, intake, order, recorder, sending }: Writing,
  filler: Filler,
): Promise<WrittenToBucket> {
  try {
    await takeAll(intake, order, filler);
    await filler.end();
    await order.settled();
    order.throwIfFailed();
    if (upload.snapshot === null && !recorder.hasCommitted) await recorder.commitNothing();
    const { ended } = intake;
    if (ended.kind === 'overflow') {
      throw new StoreError('overflow', `upload ${upload.id}: more bytes than were announced`);
    }
    const { committed, state } = recorder.row;
    return {
      offset: committed,
      digests: committed === upload.size ? await lane.digests() : null,
      wholeKey: state.whole ? state.key : null,
      interrupted: ended.kind === 'end' ? undefined : ended.cause,
    };
  } catch (error) {
    order.fail(error);
    await filler.giveUp();
    await sending.settled();
    throw error;
  }
}

/** Takes what the source brings, to its end or until something fails; makes room when that is asked for. */
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

/** Runs one action after the other, also where one fails. */
function createTurns(): (action: () => Promise<void>) => Promise<void> {
  let lastTurn: Promise<void> = Promise.resolve();
  return (action) => {
    const run = lastTurn.then(action);
    lastTurn = run.catch(() => undefined);
    return run;
  };
}
