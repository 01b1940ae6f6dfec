/**
 * The memory for open parts and parts on their way, shared by all uploads. Room is
 * given per part and in order, so that no upload waits for another's next part. When
 * it has run out, the part that would hold it longest is asked to make room: its bytes
 * go to the bucket as a tail, and it asks again when more of them come.
 *
 * The memory itself is used again and again: garbage of this size would cost more CPU
 * to collect than everything else that is done with the bytes.
 */
import { type Surroundings, SYSTEM, type Timer } from '../surroundings.ts';

/** A part younger than this is left alone: how fast it grows is not known yet. */
const LEAST_HOLD_MS = 2_000;
/** One that will be whole sooner than this, too: a tail is stored and read back, which costs more than waiting. */
const LEAST_REST_MS = 20_000;
/** How fast a part grows is looked at over this time. */
const WINDOW_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** An upload that made room waits behind all others, but not longer than this. */
const MOST_WAIT_MS = 15_000;
/** Smaller ones have sizes of their own, and are seldom fitting again. */
const LEAST_KEPT_BYTES = 1024 * 1024;
/** Memory that was not used for so long is returned to the system. */
const KEEP_UNUSED_MS = 30_000;

export interface Room {
  /** As large as was asked for; what was in it before is in it still. */
  readonly bytes: Buffer;
  /** Aborted when the part is to make room; only until `seal`. */
  readonly asked: AbortSignal;
  /** So many bytes have arrived. */
  grew(bytes: number): void;
  /** The part is complete: its room is returned once it is sent. */
  seal(): void;
  /** A call with these bytes failed: its connection may still be reading them. They are not used again. */
  spoil: () => void;
  /** Gives it back; a second time does nothing. */
  release(): void;
}

export interface BufferPool {
  readonly totalBytes: number;
  /**
   * Waits for room for one part. When `signal` is aborted it is given at once, so that
   * what was read already can be kept.
   *
   * @param again - this part has made room for others before.
   */
  reserve(bytes: number, again: boolean, signal: AbortSignal): Promise<Room>;
}

interface Waiting {
  bytes: number;
  since: number;
  again: boolean;
  grant: () => void;
}

interface Held {
  since: number;
  missingBytes: number;
  /** Of the window that runs, and of the one before. */
  window: { since: number; bytes: number; bytesPerMsBefore: number };
  controller: AbortController;
}

function holdSince(since: number, bytes: number): Held {
  return {
    since,
    missingBytes: bytes,
    window: { since, bytes: 0, bytesPerMsBefore: 0 },
    controller: new AbortController(),
  };
}

function grow(held: Held, bytes: number, now: number): void {
  const { window } = held;
  held.missingBytes -= bytes;
  window.bytes += bytes;
  const elapsed = now - window.since;
  if (elapsed > WINDOW_MS) held.window = { since: now, bytes: 0, bytesPerMsBefore: window.bytes / elapsed };
}

/** When a part will be whole, if it keeps its pace. */
function restMs({ missingBytes, window }: Held, now: number): number {
  const elapsed = now - window.since;
  const bytesPerMs = elapsed < WINDOW_MS / 5 ? window.bytesPerMsBefore : window.bytes / elapsed;
  return missingBytes / bytesPerMs;
}

/** The next in line. */
function firstOf(waiting: readonly Waiting[], now: number): Waiting | undefined {
  const [first] = waiting;
  if (!first?.again || now - first.since > MOST_WAIT_MS) return first;
  return waiting.find((entry) => !entry.again) ?? first;
}

/** The part that would hold its room longest, of those that may be asked for it. */
function findSlowest(open: Iterable<Held>, now: number): Held | undefined {
  let slowest: { held: Held; rest: number } | undefined;
  for (const held of open) {
    const rest = now - held.since < LEAST_HOLD_MS ? 0 : restMs(held, now);
    if (rest > (slowest?.rest ?? LEAST_REST_MS)) slowest = { held, rest };
  }
  return slowest?.held;
}

export function createBufferPool(totalBytes: number, surroundings: Surroundings = SYSTEM): BufferPool {
  let free = totalBytes;
  const waiting: Waiting[] = [];
  /** Open parts. */
  const open = new Set<Held>();
  let timer: Timer | undefined;
  const reuse = createReuse(surroundings);

  function serve(): void {
    const next = (): Waiting | undefined => firstOf(waiting, surroundings.elapsedMs());
    for (let entry = next(); entry && fits(entry.bytes); entry = next()) {
      waiting.splice(waiting.indexOf(entry), 1);
      entry.grant();
    }
    surroundings.clearTimeout(timer);
    if (waiting.length > 0) askForRoom();
  }

  /** A part larger than all the memory gets it when nobody else has any. */
  function fits(bytes: number): boolean {
    return bytes <= free || free === totalBytes;
  }

  function askForRoom(): void {
    // One is enough, and the next follows when it has made room.
    if ([...open].some(({ controller }) => controller.signal.aborted)) return;
    findSlowest(open, surroundings.elapsedMs())?.controller.abort();
    timer = surroundings.setTimeout(serve, LOOK_EVERY_MS);
    timer.unref();
  }

  function take(bytes: number): Room {
    free -= bytes;
    const held = holdSince(surroundings.elapsedMs(), bytes);
    open.add(held);
    const buffer = reuse.allocate(bytes, free);
    let isHeld = true;
    let isSpoilt = false;
    return {
      bytes: buffer,
      spoil: () => {
        isSpoilt = true;
      },
      asked: held.controller.signal,
      grew: (more) => grow(held, more, surroundings.elapsedMs()),
      seal: () => void open.delete(held),
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        open.delete(held);
        free += bytes;
        if (!isSpoilt) reuse.keep(buffer);
        serve();
      },
    };
  }

  async function reserve(bytes: number, again: boolean, signal: AbortSignal): Promise<Room> {
    if ((waiting.length === 0 && fits(bytes)) || signal.aborted) return take(bytes);
    return new Promise((resolve) => {
      const entry: Waiting = { bytes, since: surroundings.elapsedMs(), again, grant };
      function grant(): void {
        signal.removeEventListener('abort', onAbort);
        resolve(take(bytes));
      }
      function onAbort(): void {
        waiting.splice(waiting.indexOf(entry), 1);
        grant();
      }
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(entry);
      serve();
    });
  }

  return { totalBytes, reserve };
}

/** Memory to be used again; with what is taken never more than there may be. */
interface Reuse {
  /** @param free - bytes that may be kept unused from now on. */
  allocate(bytes: number, free: number): Buffer;
  keep(buffer: Buffer): void;
}

function createReuse(surroundings: Pick<Surroundings, 'setTimeout' | 'clearTimeout'>): Reuse {
  let unused: Buffer[] = [];
  let unusedBytes = 0;
  let forgetting: Timer | undefined;

  return {
    allocate: (bytes, free) => {
      const index = unused.findIndex((each) => each.length === bytes);
      const [fitting] = index < 0 ? [] : unused.splice(index, 1);
      if (fitting) {
        unusedBytes -= bytes;
        return fitting;
      }
      // More than there is may be taken: then there is nothing to be kept either.
      while (unused.length > 0 && unusedBytes > free) unusedBytes -= unused.shift()?.length ?? 0;
      // Not of Node's own pool, of which one small piece keeps a large one.
      return Buffer.allocUnsafeSlow(bytes);
    },
    keep: (buffer) => {
      if (buffer.length < LEAST_KEPT_BYTES) return;
      unused.push(buffer);
      unusedBytes += buffer.length;
      surroundings.clearTimeout(forgetting);
      forgetting = surroundings.setTimeout(() => {
        unused = [];
        unusedBytes = 0;
      }, KEEP_UNUSED_MS);
      forgetting.unref();
    },
  };
}
