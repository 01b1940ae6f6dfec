/** Calls that are repeated: with backoff and jitter, for as long as the provider asks to wait, never for ever. */
import { setTimeout as wait } from 'node:timers/promises';
import { isPassing, retryAfterOf } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Who asks for more is not waited for: the client is told to come again. */
const MOST_RETRY_AFTER_MS = 15_000;
const ATTEMPT_TIMEOUT_MS = 30_000;
/** A line slower than this is taken for a broken one. */
const LEAST_BYTES_PER_MS = 64;

export interface CallOptions {
  /** Bytes of the body: time to send them is added. */
  bytes?: number;
  attempts?: number;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

/**
 * Calls until it succeeds, cannot succeed, or was tried often enough.
 *
 * @param attempt - called anew each time; its signal ends when its time is up.
 * @throws what the last attempt threw; the signal's reason.
 */
export async function callWithRetries<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  { bytes = 0, attempts = ATTEMPTS, timeoutMs = ATTEMPT_TIMEOUT_MS, signal }: CallOptions = {},
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await inTime(attempt, timeoutMs + bytes / LEAST_BYTES_PER_MS, signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (tried >= attempts || !isPassing(error)) throw error;
      const asked = retryAfterOf(error) ?? 0;
      if (asked > MOST_RETRY_AFTER_MS) throw error;
      const backoff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (tried - 1)) * (0.5 + Math.random() / 2);
      await wait(Math.max(asked, backoff), undefined, { signal }).catch(() => undefined);
      if (signal?.aborted) throw signal.reason;
    }
  }
}

/** Its signal is only for the time until the answer begins: a body is read for as long as it takes. */
async function inTime<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  const timer = setTimeout(() => {
    controller.abort(Object.assign(new Error(`no answer in ${Math.round(timeoutMs)} ms`), { code: 'ETIMEDOUT' }));
  }, timeoutMs);
  if (signal?.aborted) throw signal.reason;
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await attempt(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
