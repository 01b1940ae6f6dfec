/** Who in this process has the lease on an upload or wants it: a line for each upload, in memory. */
import type { Surroundings } from '../../stores/surroundings.ts';
import { LockError, type TakeOptions } from './leases.ts';

/** What the one before in the line leaves to the next, without the row being told. */
export interface Left {
  epoch: number;
  isRecovered: boolean;
}

/** The first place in a line: nobody else in this process writes to the upload. */
export interface Turn {
  /** Whether it was given by another one, who came before. */
  readonly hasWaited: boolean;
  readonly left: Left | undefined;
  /** Whether somebody in this process waits for it. */
  isAwaited(): boolean;
  /** The lease is in hand: asks the holder on behalf of those who came since. */
  hold(): void;
  /** The next in line has its turn. */
  pass(left?: Left): void;
}

export interface Lines {
  /** Waits for the turn; asks the one who has it. @throws LockError `timeout`, `aborted`, `closed`. */
  enter(id: string, options: TakeOptions): Promise<Turn>;
  /** The turn, where there is no line. */
  enterIfEmpty(id: string, onAsked: () => void): Turn | undefined;
  has(id: string): boolean;
  /** Asks the holder on behalf of another node; `false` where nobody in this process has the upload. */
  ask(id: string): boolean;
  /** Asks all holders. */
  askAll(): void;
  close(): void;
}

/** One request for a lease, first in line and then holding it. */
interface Place {
  onAsked: () => void;
  /** Whether the lease is in the holder's hands; before that there is nobody to ask. */
  held: boolean;
  /** Asked by another node before it held the lease. */
  asked: boolean;
  /** Ends the waiting: with the turn, or with why it never came. */
  settle: (refusal: Error | undefined, left?: Left) => void;
}

/** Who writes to one upload, and who waits for it in the order they came. */
interface Line {
  holder: Place;
  waiting: Set<Place>;
}

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
    const left = await waitInLine(id, line, place, options);
    return turnOf(id, place, true, left);
  }

  function waitInLine(id: string, line: Line, place: Place, options: TakeOptions): Promise<Left | undefined> {
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

      // In line before the holder is asked: it may release at once.
      line.waiting.add(place);
      try {
        if (line.holder.held) line.holder.onAsked();
      } catch (error) {
        place.settle(error as Error);
      }
    });
  }

  return {
    enter,
    enterIfEmpty: (id, onAsked) => (closed || lines.has(id) ? undefined : begin(id, onAsked)),
    has: (id) => lines.has(id),
    ask: (id) => {
      const holder = lines.get(id)?.holder;
      if (holder?.held) holder.onAsked();
      else if (holder) holder.asked = true;
      return holder !== undefined;
    },
    askAll: () => {
      for (const { holder } of lines.values()) if (holder.held) holder.onAsked();
    },
    close: () => {
      closed = true;
      for (const [id, line] of lines) {
        for (const place of line.waiting) place.settle(new LockError('closed', id));
      }
    },
  };
}
