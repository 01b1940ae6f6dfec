/** Trying again: how long, how often, and what counts as getting on. */
import { setTimeout as delay } from 'node:timers/promises';
import { CliError, ServiceError, TransportError, describeError, isTransient } from './errors.ts';
import { formatDuration } from './format.ts';

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** A service may ask for any Retry-After; nobody watches a terminal that long. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** One wait before the next attempt. */
export interface Wait {
  delayMs: number;
  error: unknown;
}

/**
 * How long to keep trying. The clock runs from the first failure after the last
 * progress, so that a transfer of many hours still has all its patience left when
 * the line breaks.
 */
export interface Patience {
  /** Something was achieved: the clock and the delays start anew. */
  progress(): void;
  /** How long to wait before the next attempt. @throws CliError `gave_up` when patience is used up. */
  next(error: unknown): number;
}

export function createPatience(limitMs: number): Patience {
  let firstFailureAt: number | null = null;
  let attempts = 0;

  function progress(): void {
    firstFailureAt = null;
    attempts = 0;
  }

  function next(error: unknown): number {
    const now = performance.now();
    firstFailureAt ??= now;
    const ownMs = error instanceof TransportError ? error.patienceMs : null;
    const leftMs = firstFailureAt + Math.min(limitMs, ownMs ?? limitMs) - now;
    if (leftMs <= 0) {
      if (ownMs !== null) throw new CliError('gave_up', describeError(error), { cause: error });
      const tried = limitMs === 0 ? '' : `, and nothing moved for ${formatDuration(limitMs)}`;
      throw new CliError('gave_up', `${describeError(error)}${tried}`, { cause: error });
    }
    const ceilingMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempts);
    attempts += 1;
    // Half of it at random: clients that lost the same service do not come back in step.
    const backoffMs = ceilingMs * (0.5 + Math.random() / 2);
    const askedMs = error instanceof ServiceError ? Math.min(error.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS) : 0;
    return Math.min(Math.max(backoffMs, askedMs), leftMs);
  }

  return { progress, next };
}

/** Waits; an abort rejects with the signal's reason at once. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}

/** Runs `operation` until it succeeds, fails for good, or patience is used up. */
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
