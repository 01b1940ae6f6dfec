/** The refusals of links, with stable codes and default sentences. The edge has an answer to each. */

// oxfmt-ignore
const SENTENCES = {
  link_expired:      'This link has expired; ask the person who sent it for a new one.',
  link_used_up:      'This link has been used as often as it may be; ask the person who sent it for a new one.',
  link_empty:        'The files of this link have been deleted.',
  password_required: 'This link has a password.',
  wrong_password:    'That is not the password of this link.',
  too_many_attempts: 'There were too many wrong passwords for this link; try again later.',
  passwords_busy:    'As many passwords are being checked as this service can check; try again shortly.',
} as const satisfies Record<string, string>;

export type LinkErrorCode = keyof typeof SENTENCES;

/** A refusal of a link. `message` is safe to show to a user. */
export class LinkError extends Error {
  readonly code: LinkErrorCode;
  /** When a retry may succeed. */
  readonly retryAfterMs: number | undefined;

  constructor(code: LinkErrorCode, { retryAfterMs }: { retryAfterMs?: number } = {}) {
    super(SENTENCES[code]);
    this.name = 'LinkError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}
