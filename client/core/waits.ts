/** How long to wait before the next attempt. How often, and for how long in all, is up to the client: a page waits for its user. */

const FIRST_MS = 250;
const LONGEST_MS = 10_000;
/** A service may ask for any Retry-After; no person watches a transfer for that long. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** In a page the user may have made room meanwhile, by ending an upload or giving a token. */
const LONGEST_IN_PAGE_MS = 10_000;
/** Room is not made in a moment, and each attempt sends bytes for nothing. */
const LEAST_WHEN_FULL_MS = 5_000;

/** Why the last attempt failed, as far as it matters here. */
export interface Obstacle {
  /** HTTP status of a refusal. */
  status?: number;
  retryAfterMs?: number | null;
}

/**
 * The wait doubles with each attempt in vain. Half of it is random: clients that lost the same service do not come back in
 * step.
 *
 * @param attempts - in vain since the last progress, without this one.
 * @param random - from 0 to 1.
 */
export function delayAfter(attempts: number, random: number, { status, retryAfterMs }: Obstacle = {}): number {
  const ceilingMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempts);
  const askedMs = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return Math.max(ceilingMs * (0.5 + random / 2), askedMs, status === 507 ? LEAST_WHEN_FULL_MS : 0);
}

/** As `delayAfter`, where a user watches and acts. */
export function delayInPage(attempts: number, random: number, obstacle: Obstacle = {}): number {
  return Math.min(delayAfter(attempts, random, obstacle), LONGEST_IN_PAGE_MS);
}

/** Reads a Retry-After header (RFC 9110 section 10.2.3) that gives seconds; null for any other value. */
export function readRetryAfter(value: string | null | undefined): number | null {
  return value && /^\d{1,9}$/.test(value) ? Number(value) * 1000 : null;
}
