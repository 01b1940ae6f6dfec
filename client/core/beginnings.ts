/** When a client replaces a lost upload with a new one, and which unfinished upload it may resume. */

import { keptName } from './naming.ts';

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

/**
 * Whether an unfinished upload would replace the file of another name than the wanted one: it was begun to replace that of its
 * own (`onconflict`), and would delete it once it is complete.
 */
export function replacesAnother(
  declared: { name: string | null | undefined; onConflict: string | null | undefined },
  wanted: string,
): boolean {
  if (declared.onConflict !== 'replace' || !declared.name) return false;
  return keptName(declared.name) !== keptName(wanted);
}
