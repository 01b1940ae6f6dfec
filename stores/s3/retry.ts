/** Retries calls: with backoff and jitter, waiting as long as the provider asks for, within limits. */
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { isPassing, retryAfterOf } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Where the provider asks for a longer wait, the call fails, and the client is asked to retry later. */
const MOST_RETRY_AFTER_MS = 15_000;
const ATTEMPT_TIMEOUT_MS = 30_000;
/** All attempts together end within this time, except that one which sends content may take longer. */
const WITHIN_MS = 90_000;

/** How often and how long a call is tried. */
export interface CallOptions {
  attempts?: number;
  /** The time limit of an attempt. */
  timeoutMs?: number;
  /** No attempt begins that could end later than this. An attempt counts for at most ATTEMPT_TIMEOUT_MS here. */
  withinMs?: number;
  signal?: AbortSignal | undefined;
  /** The machine's by default. */
  surroundings?: Surroundings;
}

/** How long to wait after this many failures in a row. */
export function backoffMs(failures: number, surroundings: Pick<Surroundings, 'random'>): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)) * (0.5 + surroundings.random() / 2);
}

/**
 * Repeats a call until it succeeds, fails for good, or has used up its attempts or its time.
 *
 * @param attempt - makes one attempt; its signal is aborted when the attempt's time is up.
 * @throws the error of the last attempt, or the signal's reason.
 */
export async function callWithRetries<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  {
    attempts = ATTEMPTS,
    timeoutMs = ATTEMPT_TIMEOUT_MS,
    withinMs = WITHIN_MS,
    signal,
    surroundings = SYSTEM,
  }: CallOptions = {},
): Promise<T> {
  const begunAt = surroundings.elapsedMs();
  for (let tried = 1; ; tried++) {
    try {
      return await inTime(attempt, timeoutMs, signal, surroundings);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (tried >= attempts || !isPassing(error)) throw error;
      const asked = retryAfterOf(error) ?? 0;
      if (asked > MOST_RETRY_AFTER_MS) throw error;
      const rest = Math.max(asked, backoffMs(tried, surroundings));
      if (surroundings.elapsedMs() - begunAt + rest + Math.min(timeoutMs, ATTEMPT_TIMEOUT_MS) > withinMs) throw error;
      await surroundings.wait(rest, { signal }).catch(() => undefined);
      if (signal?.aborted) throw signal.reason;
    }
  }
}

/** Makes one attempt. The time limit ends when the attempt resolves: the body of an answer is read without one. */
async function inTime<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  surroundings: Surroundings,
): Promise<T> {
  if (signal?.aborted) throw signal.reason;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  const timer = surroundings.setTimeout(() => {
    controller.abort(Object.assign(new Error(`no answer in ${Math.round(timeoutMs)} ms`), { code: 'ETIMEDOUT' }));
  }, timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await attempt(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    throw error;
  } finally {
    surroundings.clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
