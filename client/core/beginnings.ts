/** When a client replaces a lost upload with a new one, and which unfinished upload it may resume. */

/** A service that loses every upload would lose the next one too, and each new upload sends the whole file again. */
const MOST_NEW_BEGINNINGS = 1;

/**
 * Whether a client may replace a lost upload with a new one.
 *
 * @param begunAnew - how often it has done so since the user last asked for this upload.
 */
export function mayBeginAnew(begunAnew: number): boolean {
  return begunAnew < MOST_NEW_BEGINNINGS;
}

/**
 * Whether an unfinished upload was begun for these bytes: whether it declared their SHA-256. An equal MD5 is no proof.
 */
export function isBegunFor(declaredSha256: string | null | undefined, sha256: string | null | undefined): boolean {
  return Boolean(declaredSha256) && declaredSha256?.toLowerCase() === sha256;
}
