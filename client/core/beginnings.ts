/** When an upload is given up for a new one, and which unfinished upload a client may resume. */

/** A service that loses every upload would lose the next one too, and each new one sends the file from its first byte. */
const MOST_NEW_BEGINNINGS = 1;

/**
 * Whether an upload that is lost may be replaced by a new one.
 *
 * @param begunAnew - how often that was done since the user last asked for this upload.
 */
export function mayBeginAnew(begunAnew: number): boolean {
  return begunAnew < MOST_NEW_BEGINNINGS;
}

/**
 * Whether an unfinished upload was begun for these bytes. MD5 names, it does not prove: only an upload that declared the
 * same SHA-256 is resumed.
 */
export function isBegunFor(declaredSha256: string | null | undefined, sha256: string | null | undefined): boolean {
  return Boolean(declaredSha256) && declaredSha256?.toLowerCase() === sha256;
}
