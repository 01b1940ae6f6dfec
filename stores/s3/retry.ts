/** Calls that are repeated: with backoff and jitter, for as long as the provider asks to wait, never for ever. */
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { isPassing, retryAfterOf } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** A provider that asks for a longer wait is not waited for: the client is told to come again. */
const MOST_RETRY_AFTER_MS = 15_000;
const ATTEMPT_TIMEOUT_MS = 30_000;
/** No attempt begins later than this: the client is told to come again. */
const WITHIN_MS = 90_000;

export interface CallOptions {
  attempts?: number;
  timeoutMs?: number;
  /** For all attempts together, if each takes as long as one that is not for content. */
  withinMs?: number;
  signal?: AbortSignal | undefined;
  /** The machine's unless told. */
  surroundings?: Surroundings;
}

/** How long to wait after so many failures in a row. */
export function backoffMs(failures: number, surroundings: Pick<Surroundings, 'random'>): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)) * (0.5 + surroundings.random() / 2);
}

/**
 * Calls until it succeeds, cannot succeed, or was tried often enough.
 *
 * @param attempt - called again each time; its signal ends when its time is up.
 * @throws what the last attempt threw; the signal's reason.
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

/** Its signal is only for the time until the answer begins: a body is read for as long as it takes. */
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
