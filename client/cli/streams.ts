/** Carries the parts of a transfer over several connections at the same time. */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { MOST_STREAMS } from '../core/parts.ts';
import { createStreamTuner } from '../core/stream-tuner.ts';
import { isTransient, UsageError } from './errors.ts';
import { createPatience, sleep } from './retry.ts';
import type { Patience, Trouble, Wait } from './retry.ts';

/** How many connections; `auto`: as many as help, see core/stream-tuner.ts. */
export type Streams = number | 'auto';

const LOOK_EVERY_MS = 250;

/** What the connections do. */
export interface Carrying<Part> {
  streams: Streams;
  parts: readonly Part[];
  signal: AbortSignal;
  retryForMs: number;
  /** Makes one attempt. Another attempt for the part follows one that failed, by whichever connection is free first. */
  attempt: (part: Part, stream: { signal: AbortSignal; patience: Patience }) => Promise<void>;
  /** How many bytes all connections have carried so far. */
  movedBytes: () => number;
  onWait: (wait: Wait) => void;
}

/**
 * Carries all parts. A failure that will pass makes its own connection wait; the others go on.
 *
 * @throws the first error that no retry would cure, once all connections have stopped; CliError `gave_up` when no
 *   connection has moved for so long; the signal's reason.
 */
export async function carry<Part>({ parts, ...carrying }: Carrying<Part>): Promise<void> {
  const own = new AbortController();
  const signal = AbortSignal.any([carrying.signal, own.signal]);
  // Each connection listens to it: Node would take so many listeners for a leak, and say so on the terminal.
  setMaxListeners(0, signal);
  const trouble: Trouble = { firstFailureAt: null };
  const tuner = carrying.streams === 'auto' ? createStreamTuner(performance.now()) : null;
  let wanted = carrying.streams === 'auto' ? 1 : carrying.streams;
  const queue = [...parts];
  const running = new Set<Promise<void>>();

  async function stream(): Promise<void> {
    const patience = createPatience(carrying.retryForMs, trouble);
    while (running.size <= wanted) {
      const part = queue.shift();
      if (part === undefined) return;
      try {
        await carrying.attempt(part, { signal, patience });
      } catch (error) {
        queue.unshift(part);
        signal.throwIfAborted();
        if (!isTransient(error)) throw error;
        const delayMs = patience.next(error);
        carrying.onWait({ delayMs, error });
        await sleep(delayMs, signal);
      }
    }
  }

  function add(): void {
    const one: Promise<void> = stream()
      .catch((error: unknown) => own.abort(error))
      .finally(() => running.delete(one));
    running.add(one);
  }

  for (;;) {
    if (tuner) wanted = tuner.look(performance.now(), carrying.movedBytes());
    while (!signal.aborted && queue.length > 0 && running.size < wanted) add();
    if (running.size === 0) break;
    await Promise.race(tuner ? [...running, delay(LOOK_EVERY_MS, undefined, { ref: false })] : running);
  }
  signal.throwIfAborted();
}

/** Reads `1` to `16`, or `auto`. @throws UsageError */
export function parseStreams(text: string, option: string): Streams {
  if (text === 'auto') return 'auto';
  const streams = Number(text);
  if (/^\d+$/.test(text) && streams >= 1 && streams <= MOST_STREAMS) return streams;
  throw new UsageError(`${option}: “${text}” is neither a whole number from 1 to ${MOST_STREAMS} nor auto.`);
}
