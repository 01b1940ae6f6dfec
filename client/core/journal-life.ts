/** How long a client keeps the journal entry of an unfinished upload: as long as the service may keep the upload. */

/** The longest UPLOAD_TTL of a service. */
const LONGEST_LIFE_MS = 3650 * 24 * 3_600_000;

/**
 * How long an upload lives without another byte.
 *
 * @param expires - the header `Upload-Expires` of an answer.
 * @param nowMs - when the answer came; milliseconds since the epoch.
 * @returns null where the answer has no such header.
 */
export function lifeLeftMs(expires: string | null | undefined, nowMs: number): number | null {
  const lifeMs = Date.parse(expires ?? '') - nowMs;
  return Number.isFinite(lifeMs) ? Math.max(0, lifeMs) : null;
}

/**
 * How long an entry is kept after its last write.
 *
 * @param leastMs - how long an entry without a recorded life is kept. Otherwise it is added to the life, because bytes may
 *   have arrived after the write.
 * @param lifeMs - the recorded result of `lifeLeftMs`; undefined in entries of earlier releases.
 */
export function keepEntryForMs(leastMs: number, lifeMs: number | null | undefined): number {
  return leastMs + (typeof lifeMs === 'number' && lifeMs > 0 ? Math.min(lifeMs, LONGEST_LIFE_MS) : 0);
}
