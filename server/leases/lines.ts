/** Keeps a line for each upload, in memory: which request of this process has the lease, and which wait for it. */
import type { Surroundings } from '../../stores/surroundings.ts';
import { LockError, type TakeOptions } from './leases.ts';

/** What a holder passes to the next request in the line, without writing it into the row. */
export interface Left {
  epoch: number;
  isRecovered: boolean;
}

/** The first place in a line: no other request of this process writes to the upload. */
export interface Turn {
  /** Whether another request had the turn before and passed it on. */
  readonly hasWaited: boolean;
  readonly left: Left | undefined;
  /** Whether another request of this process waits for the turn. */
  isAwaited(): boolean;
  /** The lease was taken: asks its holder at once for each request that has come since. */
  hold(): void;
  /** Gives the turn to the next request in the line. */
  pass(left?: Left): void;
}

/** The lines of a process, by upload. */
export interface Lines {
  /** Waits for the turn, and asks the holder for it. @throws LockError `timeout`, `aborted`, `closed`. */
  enter(id: string, options: TakeOptions): Promise<Turn>;
  /** Takes the turn if the upload has no line; else undefined. */
  enterIfEmpty(id: string, onAsked: () => void): Turn | undefined;
  /** Whether a request of this process has the upload, or waits for it. */
  has(id: string): boolean;
  isClosed(): boolean;
  /** Asks the holder on behalf of another node. @returns false where no request of this process has the upload. */
  ask(id: string): boolean;
  /** Asks all holders. */
  askAll(): void;
  /** Refuses new requests and those in line; holders keep their turn. */
  close(): void;
}

/** One request for a lease: it waits in line, and then holds the lease. */
interface Place {
  onAsked: () => void;
  /** Whether it has taken the lease; before that it has nothing to release. */
  held: boolean;
  /** Asked by another node before it held the lease. */
  asked: boolean;
  /** Ends the waiting: with the turn, or with the reason why the request did not get it. */
  settle: (refusal: Error | undefined, left?: Left) => void;
}

/** The request that writes to one upload, and those that wait for it, in the order they came. */
interface Line {
  holder: Place;
  waiting: Set<Place>;
}

/** Makes the lines of one process. */
export function createLines(surroundings: Pick<Surroundings, 'setTimeout' | 'clearTimeout'>): Lines {
  // Holds an entry for exactly those uploads that have a holder.
  const lines = new Map<string, Line>();
  let closed = false;

  function begin(id: string, onAsked: () => void): Turn {
    const place: Place = { onAsked, held: false, asked: false, settle: () => undefined };
    lines.set(id, { holder: place, waiting: new Set() });
    return turnOf(id, place, false, undefined);
  }

  function turnOf(id: string, place: Place, hasWaited: boolean, left: Left | undefined): Turn {
    let isOver = false;
    return {
      hasWaited,
      left,
      isAwaited: () => (lines.get(id)?.waiting.size ?? 0) > 0,
      hold: () => {
        place.held = true;
        const waiting = lines.get(id)?.waiting.size ?? 0;
        for (let count = place.asked ? 1 + waiting : waiting; count > 0; count--) place.onAsked();
      },
      pass: (given) => {
        if (isOver) return;
        isOver = true;
        place.held = false;
        passOn(id, given);
      },
    };
  }

  function passOn(id: string, left: Left | undefined): void {
    const line = lines.get(id);
    if (!line) return;
    const [next] = line.waiting;
    if (!next) {
      lines.delete(id);
      return;
    }
    line.holder = next;
    next.settle(undefined, left);
  }

  async function enter(id: string, options: TakeOptions): Promise<Turn> {
    if (closed) throw new LockError('closed', id);
    if (options.signal.aborted) throw new LockError('aborted', id);
    const line = lines.get(id);
    if (!line) return begin(id, options.onAsked);
    const place: Place = { onAsked: options.onAsked, held: false, asked: false, settle: () => undefined };
    const left = await waitInLine(surroundings, id, line, place, options);
    return turnOf(id, place, true, left);
  }

  return {
    enter,
    enterIfEmpty: (id, onAsked) => (closed || lines.has(id) ? undefined : begin(id, onAsked)),
    has: (id) => lines.has(id),
    isClosed: () => closed,
    ask: (id) => {
      const holder = lines.get(id)?.holder;
      if (holder) ask(holder);
      return holder !== undefined;
    },
    askAll: () => {
      for (const { holder } of lines.values()) ask(holder);
    },
    close: () => {
      closed = true;
      for (const [id, line] of lines) {
        for (const place of line.waiting) place.settle(new LockError('closed', id));
      }
    },
  };
}

/** Asks the holder now, or as soon as it has the lease. */
function ask(holder: Place): void {
  if (holder.held) holder.onAsked();
  else holder.asked = true;
}

/** Waits until the turn comes. @throws LockError `timeout`, `aborted`, `closed`. */
function waitInLine(
  surroundings: Pick<Surroundings, 'setTimeout' | 'clearTimeout'>,
  id: string,
  line: Line,
  place: Place,
  options: TakeOptions,
): Promise<Left | undefined> {
  return new Promise((resolve, reject) => {
    const timer = surroundings.setTimeout(() => place.settle(new LockError('timeout', id)), options.timeoutMs);
    const abort = () => place.settle(new LockError('aborted', id));
    options.signal.addEventListener('abort', abort, { once: true });

    place.settle = (refusal, left) => {
      surroundings.clearTimeout(timer);
      options.signal.removeEventListener('abort', abort);
      line.waiting.delete(place);
      if (refusal) reject(refusal);
      else resolve(left);
    };

    // Enters the line before it asks the holder, which may release at once.
    line.waiting.add(place);
    try {
      if (line.holder.held) line.holder.onAsked();
    } catch (error) {
      place.settle(error as Error);
    }
  });
}
