/** Retries: for how long in all, and what counts as progress. core/waits.ts has the waits between attempts. */
import { setTimeout as delay } from 'node:timers/promises';
import { delayAfter } from '../core/waits.ts';
import { CliError, OtherFormError, ServiceError, TransportError, describeError, isTransient } from './errors.ts';
import { formatDuration } from './format.ts';

/** One wait before the next attempt. */
export interface Wait {
  delayMs: number;
  error: unknown;
}

/**
 * How long to retry. The time counts from the first failure after the last progress, so
 * that a transfer of many hours has the whole time when its connection breaks.
 */
export interface Patience {
  /** Reports progress: the time and the delays start again. */
  progress(): void;
  /** Milliseconds to wait before the next attempt. @throws CliError `gave_up` when the time is over. */
  next(error: unknown): number;
}

/** When the first attempt since the last progress failed; null where none has. */
export interface Trouble {
  firstFailureAt: number | null;
}

/**
 * @param limitMs - how long to retry without progress; a TransportError may shorten it.
 * @param trouble - what several connections of one transfer share: while one of them moves, none of them gives up. Each
 *   has waits of its own.
 */
export function createPatience(limitMs: number, trouble: Trouble = { firstFailureAt: null }): Patience {
  let attempts = 0;

  function progress(): void {
    trouble.firstFailureAt = null;
    attempts = 0;
  }

  function next(error: unknown): number {
    // Whoever throws it bounds how often.
    if (error instanceof OtherFormError) return 0;
    const now = performance.now();
    trouble.firstFailureAt ??= now;
    const ownMs = error instanceof TransportError ? error.patienceMs : null;
    const leftMs = trouble.firstFailureAt + Math.min(limitMs, ownMs ?? limitMs) - now;
    if (leftMs <= 0) {
      if (ownMs !== null) throw new CliError('gave_up', describeError(error), { cause: error });
      const tried = limitMs === 0 ? '' : `, and nothing moved for ${formatDuration(limitMs)}`;
      throw new CliError('gave_up', `${describeError(error)}${tried}`, { cause: error });
    }
    const delayMs = delayAfter(attempts, Math.random(), error instanceof ServiceError ? error : {});
    attempts += 1;
    return Math.min(delayMs, leftMs);
  }

  return { progress, next };
}

/** Waits. Once the signal is aborted, rejects with its reason at once. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}

/** Runs `operation` until it succeeds, fails with an error that no retry cures, or the time to retry is over. */
export async function patiently<T>(
  operation: (attempt: number) => Promise<T>,
  options: { patience: Patience; signal: AbortSignal; onWait?: (wait: Wait) => void },
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    options.signal.throwIfAborted();
    try {
      const result = await operation(attempt);
      options.patience.progress();
      return result;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      const delayMs = options.patience.next(error);
      options.onWait?.({ delayMs, error });
      await sleep(delayMs, options.signal);
    }
  }
}
