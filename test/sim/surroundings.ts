/** What a node of a simulation has around it: the scheduler's time and timers, and chance of its own. */
import type { Surroundings, WaitOptions } from '../../stores/surroundings.ts';
import type { Chance } from './chance.ts';
import type { Actor, Scheduler } from './scheduler.ts';

const BEGUN_MS = Date.UTC(2030, 0, 1);

/** A machine's clock, which may be wrong. */
export interface WallClock {
  aheadMs: number;
}

/** What a machine tells of the time whose clock is right, but for `wall`. */
export function timeOf(scheduler: Pick<Scheduler, 'nowMs'>, wall: WallClock = { aheadMs: 0 }) {
  return {
    wallMs: () => BEGUN_MS + scheduler.nowMs + wall.aheadMs,
    elapsedMs: () => scheduler.nowMs,
    uptimeMs: () => scheduler.nowMs,
    bootId: 'boot',
  };
}

/** @param chance - of this node alone, so that what one does changes no id of another. */
export function createSimSurroundings(
  scheduler: Scheduler,
  actor: Actor,
  chance: Chance,
  wall: WallClock,
): Surroundings {
  function newId(): string {
    return `${actor.name.replace('.', '-')}-${randomHex(4)}`;
  }

  function randomHex(bytes: number): string {
    return Array.from({ length: bytes }, () => chance.below(256).toString(16).padStart(2, '0')).join('');
  }

  function wait(forMs: number, { signal }: WaitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const timer = scheduler.setTimer(
        actor,
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        forMs,
      );
      const onAbort = (): void => {
        scheduler.clearTimer(timer);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  return {
    ...timeOf(scheduler, wall),
    setTimeout: (action, afterMs) => scheduler.setTimer(actor, action, afterMs),
    clearTimeout: (timer) => scheduler.clearTimer(timer),
    wait,
    turn: () => new Promise((resolve) => void scheduler.add('turn', actor, resolve)),
    random: () => chance.next(),
    newId,
    newOrderedId: newId,
    randomHex,
  };
}
