/**
 * The memory for open parts and parts on their way, shared by all uploads. Room is
 * given per part and in order, so that no upload waits for another's next part. When
 * it has run out, the part that has been open longest is asked to make room: its bytes
 * go to the bucket as a tail, and it asks again when more of them come.
 */

/** A part younger than this is left alone: on a fast line it is whole before. */
const LEAST_HOLD_MS = 2_000;
/** Whoever made room waits behind all others, but not longer than this. */
const MOST_WAIT_MS = 15_000;

export interface Room {
  /** Aborted when the part is to make room; only until `seal`. */
  readonly asked: AbortSignal;
  /** The part is whole: its room comes back by itself once it is sent. */
  seal(): void;
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
  controller: AbortController;
}

export function createBufferPool(totalBytes: number): BufferPool {
  let free = totalBytes;
  const waiting: Waiting[] = [];
  /** Open parts, the oldest first. */
  const open = new Set<Held>();
  let timer: NodeJS.Timeout | undefined;

  /** The next in line. */
  function next(): Waiting | undefined {
    const first = waiting[0];
    if (!first?.again || Date.now() - first.since > MOST_WAIT_MS) return first;
    return waiting.find((entry) => !entry.again) ?? first;
  }

  function serve(): void {
    for (let entry = next(); entry && fits(entry.bytes); entry = next()) {
      waiting.splice(waiting.indexOf(entry), 1);
      entry.grant();
    }
    clearTimeout(timer);
    if (waiting.length > 0) askForRoom();
  }

  /** A part larger than all the memory gets it when nobody else has any. */
  function fits(bytes: number): boolean {
    return bytes <= free || free === totalBytes;
  }

  function askForRoom(): void {
    for (const held of open) {
      if (held.controller.signal.aborted) return;
      const age = Date.now() - held.since;
      if (age < LEAST_HOLD_MS) timer = setTimeout(serve, LEAST_HOLD_MS - age).unref();
      else held.controller.abort();
      return;
    }
  }

  function take(bytes: number): Room {
    free -= bytes;
    const held: Held = { since: Date.now(), controller: new AbortController() };
    open.add(held);
    let isHeld = true;
    return {
      asked: held.controller.signal,
      seal: () => void open.delete(held),
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        open.delete(held);
        free += bytes;
        serve();
      },
    };
  }

  async function reserve(bytes: number, again: boolean, signal: AbortSignal): Promise<Room> {
    if ((waiting.length === 0 && fits(bytes)) || signal.aborted) return take(bytes);
    return new Promise((resolve) => {
      const entry: Waiting = { bytes, since: Date.now(), again, grant };
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
