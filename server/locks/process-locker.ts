/** The locker for one process: a line of requests per upload, in memory. */
import { type Surroundings, SYSTEM } from '../../stores/surroundings.ts';
import { LockError } from './locker.ts';
import type { AcquireOptions, Lease, Locker } from './locker.ts';

/** One request for a lease, first in line and then holding it. */
interface Place {
  onAsked: () => void;
  /** Whether the lease is in the holder's hands; before that there is nobody to ask. */
  held: boolean;
  /** Ends the waiting: with the turn, or with why it never came. */
  settle: (refusal?: Error) => void;
}

/** Who writes to one upload, and who waits for it in the order they came. */
interface Line {
  holder: Place;
  waiting: Set<Place>;
}

/**
 * A locker for a service that runs as one process.
 *
 * @param nextEpoch - raises the upload's epoch in the catalog; undefined when there is no such upload.
 */
export function createProcessLocker({
  nextEpoch,
  surroundings = SYSTEM,
}: {
  nextEpoch: (uploadId: string) => Promise<number | undefined>;
  surroundings?: Surroundings;
}): Locker {
  // Holds an entry for exactly those uploads that have a holder.
  const lines = new Map<string, Line>();
  let closed = false;

  async function acquire(id: string, options: AcquireOptions): Promise<Lease> {
    checkStillWanted(id, options.signal);
    const place: Place = { onAsked: options.onAsked, held: false, settle: () => {} };
    const line = lines.get(id);
    if (line) await waitInLine(id, line, place, options);
    else lines.set(id, { holder: place, waiting: new Set() });

    try {
      const epoch = options.unusedEpoch ?? (await nextEpoch(id));
      if (epoch === undefined) throw new LockError('missing', id);
      checkStillWanted(id, options.signal);
      return handOver(id, place, epoch);
    } catch (error) {
      passOn(id);
      throw error;
    }
  }

  function checkStillWanted(id: string, signal: AbortSignal): void {
    if (closed) throw new LockError('closed', id);
    if (signal.aborted) throw new LockError('aborted', id);
  }

  function waitInLine(id: string, line: Line, place: Place, options: AcquireOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = surroundings.setTimeout(() => place.settle(new LockError('timeout', id)), options.timeoutMs);
      const abort = () => place.settle(new LockError('aborted', id));
      options.signal.addEventListener('abort', abort, { once: true });

      place.settle = (refusal) => {
        surroundings.clearTimeout(timer);
        options.signal.removeEventListener('abort', abort);
        line.waiting.delete(place);
        if (refusal) reject(refusal);
        else resolve();
      };

      // In line before the holder is asked: it may release at once.
      line.waiting.add(place);
      try {
        if (line.holder.held) line.holder.onAsked();
      } catch (error) {
        place.settle(error as Error);
      }
    });
  }

  /** Gives the lease to its holder, and asks it on behalf of those who came since. */
  function handOver(id: string, place: Place, epoch: number): Lease {
    place.held = true;
    const waiting = lines.get(id)?.waiting.size ?? 0;
    for (let asked = 0; asked < waiting; asked++) place.onAsked();

    return {
      uploadId: id,
      epoch,
      async release() {
        if (!place.held) return;
        place.held = false;
        passOn(id);
      },
    };
  }

  /** The holder is done: the next in line has its turn. */
  function passOn(id: string): void {
    const line = lines.get(id);
    if (!line) return;
    const [next] = line.waiting;
    if (!next) {
      lines.delete(id);
      return;
    }
    line.holder = next;
    next.settle();
  }

  async function close(): Promise<void> {
    closed = true;
    for (const [id, line] of lines) {
      for (const place of line.waiting) place.settle(new LockError('closed', id));
    }
  }

  return { acquire, close };
}
