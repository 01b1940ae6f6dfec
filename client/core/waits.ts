/** How long a client waits before the next attempt. How often it retries, and for how long in all, is up to the client. */

const FIRST_MS = 250;
const LONGEST_MS = 10_000;
/** The service may send any Retry-After: a client honours no more than this. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** The user of a page may remove the obstacle meanwhile, by cancelling an upload for example. */
const LONGEST_IN_PAGE_MS = 10_000;
/** A full store (507) does not get room in a moment, and each attempt sends bytes for nothing. */
const LEAST_WHEN_FULL_MS = 5_000;

/** Why the last attempt failed, as far as it matters here. */
export interface Obstacle {
  /** HTTP status of a refusal. */
  status?: number;
  retryAfterMs?: number | null;
}

/**
 * The wait in milliseconds. It doubles with each failed attempt. Half of it is random, so that clients that lost the same
 * service do not all return at once.
 *
 * @param attempts - failed attempts since the last progress, without the latest one.
 * @param random - from 0 to 1.
 */
export function delayAfter(attempts: number, random: number, { status, retryAfterMs }: Obstacle = {}): number {
  const ceilingMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempts);
  const askedMs = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return Math.max(ceilingMs * (0.5 + random / 2), askedMs, status === 507 ? LEAST_WHEN_FULL_MS : 0);
}

/** As `delayAfter`, for a page: at most `LONGEST_IN_PAGE_MS`. */
export function delayInPage(attempts: number, random: number, obstacle: Obstacle = {}): number {
  return Math.min(delayAfter(attempts, random, obstacle), LONGEST_IN_PAGE_MS);
}

/** Reads a Retry-After header (RFC 9110 section 10.2.3) in seconds. @returns milliseconds; null for any other value. */
export function readRetryAfter(value: string | null | undefined): number | null {
  return value && /^\d{1,9}$/.test(value) ? Number(value) * 1000 : null;
}
