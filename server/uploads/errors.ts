/**
 * The domain's errors: every refusal of the domain, with its stable code and a default sentence. They know no protocol:
 * each edge has a table with its answer to each code. Errors are compared by code.
 */

// oxfmt-ignore
const SENTENCES = {
  invalid_field:      'A field of the request is not valid.',
  incomplete_form:    'The form ended before the file did.',
  not_found:          'There is nothing here by that name.',
  partial_not_found:  'One of the partial uploads does not exist, or is not there any more.',
  not_partial:        'Only partial uploads can be joined: one of these was not begun as one.',
  upload_is_final:    'The service writes a final upload itself; send the bytes to its partial uploads.',
  folder_exists:      'There is a folder by that name already; move the files one by one, or choose another name.',
  offset_conflict:    'The upload cannot be resumed at this offset.',
  upload_expired:     'The upload has expired; begin a new one.',
  upload_rejected:    'The upload was rejected; begin a new one.',
  upload_terminated:  'The upload was terminated; begin a new one.',
  too_large:          'The file is larger than this service accepts.',
  quota_reached:      'There is no room left for this upload: a limit is reached.',
  over_quota:         'There is no room left for this within the quota.',
  upload_locked:      'Another request is writing to this upload; try again shortly.',
  upload_taken_over:  'A newer request has taken over this upload.',
  too_many_uploads:   'This owner has too many unfinished uploads; finish or end some of them first.',
  checksum_mismatch:  'The bytes of this request do not match its checksum; none of them counts, send them again.',
  digest_mismatch:    'The bytes do not match the declared digest; the upload was rejected.',
  internal:           'Something went wrong on our side.',
  content_damaged:    'The stored bytes of this file are gone or damaged; sending the same bytes again restores it.',
  store_unavailable:  'The store cannot be reached right now; try again shortly.',
  shutting_down:      'The service is shutting down; try again shortly.',
  store_full:         'The store is full; the upload can be resumed once there is room.',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof SENTENCES;

/** What an error may say beside its code. */
export interface ErrorFacts {
  /** A sentence for the caller that says what is wrong and what would be right; the code's own by default. */
  message?: string;
  /** The invalid field: one of the domain's contract, or the name that the caller of a check gave it. */
  field?: string;
  /** When a retry may succeed. */
  retryAfterMs?: number;
  /** Where the upload can be resumed. */
  offset?: number;
  cause?: unknown;
}

/** An error of the domain. `message` is safe to show to a user; `cause` is for the log alone. */
export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly offset: number | undefined;

  constructor(code: ErrorCode, facts: ErrorFacts = {}) {
    super(facts.message ?? SENTENCES[code], { cause: facts.cause });
    this.name = 'TidemarkError';
    this.code = code;
    this.field = facts.field;
    this.retryAfterMs = facts.retryAfterMs;
    this.offset = facts.offset;
  }
}

/** Refuses one named field: `invalid_field`. */
export function invalidField(field: string, message: string): TidemarkError {
  return new TidemarkError('invalid_field', { field, message });
}

/** Whether `error` is one of the domain's, with this code. */
export function hasCode(error: unknown, code: ErrorCode): error is TidemarkError {
  return error instanceof TidemarkError && error.code === code;
}
