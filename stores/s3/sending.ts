/** Sends parts and tails to the bucket, and commits them in order. */
import type { DigestLane } from '../digests/digests.ts';
import type { StoredUpload } from '../store.ts';
import type { Copy } from './copying.ts';
import type { Keys } from './keys.ts';
import type { Objects } from './objects.ts';
import type { OpenPart } from './open-part.ts';
import type { Order, Recorder } from './recorder.ts';
import type { Tail } from './state.ts';

/** How many parts of one upload are sent at once. */
const SENDING_AT_ONCE = 4;

/** The parts and tails of one request. */
export interface Sending {
  /** Resolves when one more part may be sent. */
  hasPlace(): Promise<void>;
  /** Sends a full part in the background, as the upload's object or as one of its parts; commits it, and returns its memory. */
  send(whole: OpenPart, as: 'object' | 'part'): void;
  /** Stores the bytes that a part has so far, and commits them; more may be added to it meanwhile. */
  storeTail(open: OpenPart): Promise<void>;
  /** Resolves when no part is being sent. */
  settled(): Promise<void>;
}

/** What sending works with. */
export interface SendingPlace {
  upload: StoredUpload;
  objects: Objects;
  keys: Keys;
  /** The key of the whole object that this request may store, or of the multipart upload. */
  key: string;
  lane: DigestLane;
  order: Order;
  recorder: Recorder;
  /** Resolves when the upload's row survives a power cut: nothing is stored before. */
  noted: Promise<void>;
  /** For bytes that the bucket has already. */
  copy: Copy | undefined;
  /** Aborts calls that send parts. */
  stop: AbortSignal;
}

/** Makes the sending of one request. */
export function createSending(place: SendingPlace): Sending {
  const { upload, objects, keys, lane, order, recorder, noted } = place;
  const underWay = new Set<Promise<void>>();
  /** The storing of the open part's tail, while more is added to the part. */
  let tailUnderWay: Promise<void> | undefined;

  function send(whole: OpenPart, as: 'object' | 'part'): void {
    whole.room.seal();
    const snapshot = lane.snapshot();
    snapshot.catch(() => undefined);
    const stored = storeWhole(place, whole, { as, tail: tailUnderWay });
    const settled: Promise<void> = stored.then(
      () => void underWay.delete(settled),
      () => void underWay.delete(settled),
    );
    underWay.add(settled);
    void order.run(async () => {
      const etag = await stored;
      const state = await snapshot;
      if (etag === undefined) {
        await recorder.commit(whole.end, state, { tail: null, whole: true, key: place.key });
      } else {
        const { number, start, end } = whole;
        const part = { number, start, size: end - start, etag, snapshot: state };
        await recorder.commit(end, state, { tail: null }, part);
      }
    });
  }

  function storeTail(open: OpenPart): Promise<void> {
    const snapshot = lane.snapshot();
    const md5 = open.md5();
    for (const promise of [snapshot, md5]) promise.catch(() => undefined);
    const { start, bytes } = open;
    const end = start + bytes.length;
    tailUnderWay = order.run(async () => {
      if (end <= recorder.row.committed) return;
      const key = keys.tail(upload.id, start, objects.surroundings.randomHex(6));
      const tail: Tail = { key, start, size: bytes.length, md5: await md5 };
      await noted;
      await objects.putTail(key, { bytes, md5: tail.md5, onFailure: open.room.spoil });
      await recorder.commit(end, await snapshot, { tail });
    });
    return tailUnderWay;
  }

  return {
    hasPlace: async () => {
      while (underWay.size >= SENDING_AT_ONCE) await Promise.race(underWay);
    },
    send,
    storeTail,
    settled: async () => void (await Promise.all(underWay)),
  };
}

/** Stores a full part. @returns its ETag; undefined where it is the whole object. */
async function storeWhole(
  { upload, objects, key, recorder, noted, copy, stop }: SendingPlace,
  whole: OpenPart,
  { as, tail }: { as: 'object' | 'part'; tail: Promise<void> | undefined },
): Promise<string | undefined> {
  const md5 = whole.md5();
  md5.catch(() => undefined);
  // Called before the first await, so that its step in the order comes before this part's.
  const begun = as === 'part' ? recorder.multipart() : undefined;
  try {
    const body = { bytes: whole.bytes, md5: await md5, onFailure: whole.room.spoil };
    if (begun) {
      const multipart = await begun;
      const copied = await copy?.(whole, { key, multipart, md5: body.md5, signal: stop });
      return copied ?? (await objects.uploadPart(key, multipart, whole.number, body, stop));
    }
    await noted;
    await objects.putFinal(key, upload, body);
    return undefined;
  } finally {
    // A call that stores its tail may still be reading the same memory.
    await tail;
    whole.room.release();
  }
}
