/** What those who have the secret of a link are told, as docs/http-api.md says ("Links", "Upload links"). */

/**
 * What a link is like: `live`, past its time, `locked` by a password that is not given, `spent` (as many downloads, or files, as it
 * takes), or `full` (as many bytes). One that is `revoked` is told of nowhere.
 */
export type LinkCondition = 'live' | 'expired' | 'locked' | 'spent' | 'full' | 'revoked';

/** `served`; or how it is refused, which may be in one of several ways. */
export type ByLink = 'served' | readonly (readonly [status: number, code: string])[];

/** By the kind of a link. Where nothing is said, the answer is that to a secret that never was. */
export interface BySecret {
  readonly download?: { readonly [condition in LinkCondition]?: ByLink };
  readonly upload?: { readonly [condition in LinkCondition]?: ByLink };
}

const EXPIRED = [[410, 'link_expired']] as const;
const LOCKED = [[403, 'password_required']] as const;
const USED_UP = [[410, 'link_used_up']] as const;
// After ten wrong ones none is taken.
const WRONG_PASSWORD = [
  [403, 'wrong_password'],
  [429, 'too_many_attempts'],
] as const;

/** Bytes of files, and lists of those in folders. */
export const DOWNLOADING: BySecret = {
  download: { live: 'served', expired: EXPIRED, locked: LOCKED, spent: USED_UP },
};

/** The link's own page, or what it says to programs. */
export const LOOKING: BySecret = {
  ...DOWNLOADING,
  // Those who have begun to send files by it continue.
  upload: { live: 'served', expired: EXPIRED, locked: LOCKED, spent: 'served', full: 'served' },
};

/** A password. */
export const UNLOCKING: BySecret = {
  download: { ...LOOKING.download, locked: WRONG_PASSWORD },
  upload: { ...LOOKING.upload, locked: WRONG_PASSWORD },
};

/** The beginning of an upload. */
export const SENDING: BySecret = {
  upload: {
    live: 'served',
    expired: [[403, 'link_closed']],
    locked: LOCKED,
    spent: [[413, 'link_files_used']],
    full: [[413, 'link_bytes_used']],
  },
};

/** An upload that was begun by this link: the password is asked for once, and what has arrived can be seen and ended at any time. */
export const SEEING: BySecret = {
  upload: { live: 'served', expired: 'served', locked: 'served', spent: 'served', full: 'served' },
};

/** More bytes of such an upload. */
export const APPENDING: BySecret = { upload: { ...SEEING.upload, expired: [[403, 'link_closed']] } };
