/** The refusals of links, with stable codes and default sentences. The edge has an answer to each. */

// oxfmt-ignore
const SENTENCES = {
  link_expired:      'This link has expired; ask the person who sent it for a new one.',
  link_used_up:      'This link has been used as often as it may be; ask the person who sent it for a new one.',
  link_empty:        'The files of this link have been deleted.',
  link_closed:       'This link has expired and takes no more; what has arrived is kept for a while, in case it is extended.',
  link_files_used:   'This link has been sent as many files as it takes.',
  link_bytes_used:   'This link has been sent as many bytes as it takes.',
  link_file_too_large: 'This link takes no file of this size.',
  link_type_refused: 'This link takes no files of this type.',
  link_sent:         'What was sent belongs to the owner of the link; it cannot be taken back.',
  password_required: 'This link has a password.',
  wrong_password:    'That is not the password of this link.',
  too_many_attempts: 'There were too many wrong passwords for this link; try again later.',
  too_many_links:    'You have as many links as one owner may have; revoke some that are no longer needed.',
  passwords_busy:    'As many passwords are being checked as this service can check; try again shortly.',
} as const satisfies Record<string, string>;

export type LinkErrorCode = keyof typeof SENTENCES;

export interface LinkErrorFacts {
  retryAfterMs?: number;
  linkId?: string;
  field?: string;
  /** A sentence with the figure; by default the code's own. */
  message?: string;
}

/** A refusal of a link. `message` is safe to show to a user. */
export class LinkError extends Error {
  readonly code: LinkErrorCode;
  /** When a retry may succeed. */
  readonly retryAfterMs: number | undefined;
  /** Which link it is, for the log; undefined where it is about none. */
  readonly linkId: string | undefined;
  /** The field of the request that it is about. */
  readonly field: string | undefined;

  constructor(code: LinkErrorCode, { retryAfterMs, linkId, field, message }: LinkErrorFacts = {}) {
    super(message ?? SENTENCES[code]);
    this.name = 'LinkError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.linkId = linkId;
    this.field = field;
  }
}
