/** Whether a client may end an unfinished upload, or another client may still need it; and how a journal keeps that. */
import type { Begun } from './naming.ts';

/** What a client knows of the other clients that send to an upload. */
export interface Claim {
  /** How the upload was begun; null where this client began it just now. */
  adopted: Begun | null;
  /** Another client may have sent bytes of it since. */
  shared: boolean;
  /** Another client has taken it over, and may still be sending. */
  takenOver: boolean;
}

/** Whether no other client needs the upload. Only then may a client end it; any other upload expires by itself. */
export function isOursToEnd({ adopted, shared, takenOver }: Claim): boolean {
  return !shared && !takenOver && (adopted === null || adopted.isOurs);
}

/** What the page's journal says of an upload. */
export interface WrittenClaim extends Partial<Claim> {
  url: string | null;
  /** SHA-256 of the bytes for which the upload at `url` was begun. */
  urlSha256?: string | null;
}

/**
 * Reads the claim from a journal entry. An earlier version of the page recorded neither a SHA-256 nor whose upload it
 * resumed. Such an upload counts as shared: another client may have sent bytes of it.
 */
export function readClaim({ url, urlSha256 = null, ...written }: WrittenClaim): Claim {
  const { adopted = null, shared = false, takenOver = false } = written;
  return { adopted, shared: shared || (url !== null && urlSha256 === null), takenOver };
}
