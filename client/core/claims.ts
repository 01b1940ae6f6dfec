/** Whose an unfinished upload is: whether a client may end it, and what a journal says of that. */
import type { Begun } from './naming.ts';

/** What is known of the clients that send to an upload. */
export interface Claim {
  /** How the upload was begun, where it was not begun just now. */
  adopted: Begun | null;
  /** Another client may have sent bytes of it since. */
  shared: boolean;
  /** Another client has taken it over, and may still be sending. */
  takenOver: boolean;
}

/** Whether no other client counts on the upload. Only then a client ends it; any other upload expires by itself. */
export function isOursToEnd({ adopted, shared, takenOver }: Claim): boolean {
  return !shared && !takenOver && (adopted === null || adopted.isOurs);
}

/** What the page's journal says of an upload. */
export interface WrittenClaim extends Partial<Claim> {
  url: string | null;
  /** Of the bytes that were begun there. */
  urlSha256?: string | null;
}

/**
 * Reads the claim back. An earlier edition of the page wrote no SHA-256 down, nor whose upload it resumed: another client may
 * have sent bytes of such an upload.
 */
export function readClaim({ url, urlSha256 = null, ...written }: WrittenClaim): Claim {
  const { adopted = null, shared = false, takenOver = false } = written;
  return { adopted, shared: shared || (url !== null && urlSha256 === null), takenOver };
}
