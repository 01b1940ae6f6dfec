/** Virtual surroundings: time passes only when a test says so, and randomness is the same for the same seed. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Surroundings, Timer } from '../../stores/surroundings.ts';

export interface VirtualSurroundings extends Surroundings {
  /** Lets time pass; runs the timers that are due meanwhile in order, each with its consequences before the next. */
  advance(byMs: number): Promise<void>;
  /** How many timers are set, waits included. */
  pending(): number;
}

interface VirtualTimer extends Timer {
  dueMs: number;
  action: () => void;
}

const BEGUN_MS = Date.UTC(2030, 0, 1);

export function createVirtualSurroundings(seed = 1): VirtualSurroundings {
  let elapsedMs = 0;
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  /** In the order in which they were set. */
  const timers = new Set<VirtualTimer>();

  /** xorshift32 */
  function next(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  }

  function newId(): string {
    return randomHex(16).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5');
  }

  function randomHex(bytes: number): string {
    return Array.from({ length: bytes }, () => (next() >>> 24).toString(16).padStart(2, '0')).join('');
  }

  function setVirtualTimeout(action: () => void, afterMs: number): Timer {
    const timer: VirtualTimer = {
      dueMs: elapsedMs + afterMs,
      action,
      refresh: () => {
        timer.dueMs = elapsedMs + afterMs;
        timers.delete(timer);
        timers.add(timer);
      },
      unref: () => undefined,
    };
    timers.add(timer);
    return timer;
  }

  function clearVirtualTimeout(timer: Timer | undefined): void {
    timers.delete(timer as VirtualTimer);
  }

  function wait(forMs: number, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        clearVirtualTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setVirtualTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, forMs);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async function advance(byMs: number): Promise<void> {
    const untilMs = elapsedMs + byMs;
    // Lets tasks that were begun before set their timers first, by the present time.
    await turn();
    for (;;) {
      const due = [...timers].filter(({ dueMs }) => dueMs <= untilMs).toSorted((a, b) => a.dueMs - b.dueMs)[0];
      elapsedMs = due ? Math.max(elapsedMs, due.dueMs) : untilMs;
      if (due) timers.delete(due);
      due?.action();
      // Lets the consequences of the timer happen.
      await turn();
      if (!due) return;
    }
  }

  return {
    wallMs: () => BEGUN_MS + elapsedMs,
    elapsedMs: () => elapsedMs,
    uptimeMs: () => elapsedMs,
    bootId: `boot-${seed}`,
    setTimeout: setVirtualTimeout,
    clearTimeout: clearVirtualTimeout,
    wait,
    turn: () => turn(),
    random: () => next() / 2 ** 32,
    newId,
    newOrderedId: newId,
    randomHex,
    advance,
    pending: () => timers.size,
  };
}
