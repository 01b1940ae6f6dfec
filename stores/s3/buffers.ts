/**
 * The memory for open parts and parts being sent, shared by all uploads. It is reserved per part and in order, so that no
 * upload waits for another's next part. When it has run out, the part that would hold it longest is asked to make room: its
 * bytes are stored in the bucket as a tail, and the part reserves memory again when more bytes arrive.
 *
 * Buffers are reused: collecting garbage of this size would cost more CPU than everything else that is done with the bytes.
 */
import { type Surroundings, SYSTEM, type Timer } from '../surroundings.ts';

/** A part younger than this is not asked: how fast it grows is not known yet. */
const LEAST_HOLD_MS = 2_000;
/** Nor is one that will be full sooner than this: storing a tail and reading it back costs more than waiting. */
const LEAST_REST_MS = 20_000;
/** The growth of a part is measured over this time. */
const WINDOW_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** A part that made room waits behind all others, but not longer than this. */
const MOST_WAIT_MS = 15_000;
/** Smaller buffers are not kept: their sizes vary, so that they seldom fit again. */
const LEAST_KEPT_BYTES = 1024 * 1024;
/** When no buffer was returned for this long, the unused ones are dropped. */
const KEEP_UNUSED_MS = 30_000;

/** The memory of one part. */
export interface Room {
  /** As large as requested; it still contains the bytes of its last use. */
  readonly bytes: Buffer;
  /** Aborted when the part is to make room; not after `seal`. */
  readonly asked: AbortSignal;
  /** To be called when this many bytes were added. */
  grew(bytes: number): void;
  /** The part is complete, and will be sent: it is not asked to make room any more. */
  seal(): void;
  /** A call with these bytes failed, and its connection may still be reading them: the buffer is not reused. */
  spoil: () => void;
  /** Returns the memory. Further calls have no effect. */
  release(): void;
}

/** The memory of all parts. */
export interface BufferPool {
  readonly totalBytes: number;
  /**
   * Waits for memory for one part. When `signal` is aborted, resolves at once, beyond the limit if need be, so that bytes
   * that were read already can be kept.
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
  /** The current window of measurement, and the result of the one before. */
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

/** How long until a part is full, if it keeps growing as fast. */
function restMs({ missingBytes, window }: Held, now: number): number {
  const elapsed = now - window.since;
  const bytesPerMs = elapsed < WINDOW_MS / 5 ? window.bytesPerMsBefore : window.bytes / elapsed;
  return missingBytes / bytesPerMs;
}

/** The waiting part that is served next. */
function firstOf(waiting: readonly Waiting[], now: number): Waiting | undefined {
  const [first] = waiting;
  if (!first?.again || now - first.since > MOST_WAIT_MS) return first;
  return waiting.find((entry) => !entry.again) ?? first;
}

/** The part that would hold its memory longest, of those that may be asked to make room. */
function findSlowest(open: Iterable<Held>, now: number): Held | undefined {
  let slowest: { held: Held; rest: number } | undefined;
  for (const held of open) {
    const rest = now - held.since < LEAST_HOLD_MS ? 0 : restMs(held, now);
    if (rest > (slowest?.rest ?? LEAST_REST_MS)) slowest = { held, rest };
  }
  return slowest?.held;
}

/** Makes the memory. */
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

  /** A part that is larger than the whole memory gets it when no other part has any. */
  function fits(bytes: number): boolean {
    return bytes <= free || free === totalBytes;
  }

  function askForRoom(): void {
    // One part at a time is asked; the next follows when that one has made room.
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

/** Keeps unused buffers; together with those in use, they stay within the limit. */
interface Reuse {
  /** @param free - how many bytes of buffers may be kept unused from now on. */
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
      // `free` may be negative, as memory can be taken beyond the limit: then all unused buffers are dropped.
      while (unused.length > 0 && unusedBytes > free) unusedBytes -= unused.shift()?.length ?? 0;
      // Not from Node's own pool, where one small buffer keeps a large one alive.
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
