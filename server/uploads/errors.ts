/**
 * The error catalogue: every refusal a caller can meet, with its stable code,
 * its HTTP status and a default sentence. Errors are compared by code.
 */

// oxfmt-ignore
const CATALOGUE = {
  // code                    status  message
  invalid_request:          [400, 'The request is not valid.'],
  invalid_field:            [400, 'A field of the request is not valid.'],
  invalid_metadata:         [400, 'Upload-Metadata is not valid.'],
  incomplete_form:          [400, 'The form ended before the file did.'],
  unauthorized:             [401, 'A valid token is required: Authorization: Bearer <token>.'],
  forbidden_operation:      [403, 'This operation is not supported.'],
  origin_not_allowed:       [403, 'Pages of this origin may not use this service.'],
  not_found:                [404, 'There is nothing here by that name.'],
  method_not_allowed:       [405, 'This method is not supported here.'],
  request_timeout:          [408, 'The request did not arrive in time.'],
  offset_conflict:          [409, 'Upload-Offset differs from the stored offset.'],
  upload_expired:           [410, 'The upload has expired; begin a new one.'],
  upload_rejected:          [410, 'The upload was rejected; begin a new one.'],
  upload_terminated:        [410, 'The upload was terminated; begin a new one.'],
  unsupported_tus_version:  [412, 'Tus-Resumable must be 1.0.0.'],
  precondition_failed:      [412, 'The file is not the one that the request is conditional on.'],
  too_large:                [413, 'The file is larger than this service accepts.'],
  unsupported_media_type:   [415, 'The Content-Type is not supported here.'],
  range_not_satisfiable:    [416, 'The range lies outside the file.'],
  unknown_host:             [421, 'Without tokens this service does not answer to that name.'],
  upload_locked:            [423, 'Another request is writing to this upload; try again shortly.'],
  upload_taken_over:        [423, 'A newer request has taken over this upload.'],
  too_many_listeners:       [429, 'Too many listen to the events of this owner already; try again later.'],
  too_many_uploads:         [429, 'This owner has too many unfinished uploads; finish or end some of them first.'],
  digest_mismatch:          [460, 'The bytes do not match the declared digest; the upload was rejected.'],
  internal:                 [500, 'Something went wrong on our side.'],
  content_damaged:          [500, 'The stored bytes of this file are gone or damaged; sending the same bytes again restores it.'],
  not_implemented:          [501, 'This is not supported.'],
  store_unavailable:        [503, 'The store cannot be reached right now; try again shortly.'],
  too_many_connections:     [503, 'As many requests are under way as this service can serve; try again shortly.'],
  shutting_down:            [503, 'The service is shutting down; try again shortly.'],
  store_full:               [507, 'The store is full; the upload can go on once there is room.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type ErrorCode = keyof typeof CATALOGUE;

export interface ErrorDetails {
  /** A sentence for the caller that says what is wrong and what would be right; the catalogue's by default. */
  message?: string;
  /** The request field at fault: a query parameter, header, form field or metadata key. */
  field?: string;
  /** Response headers the refusal carries, e.g. `Upload-Offset` with a 409. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** A refusal from the catalogue. `message` is safe to show to a user; `cause` is for the log alone. */
export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly field: string | undefined;
  readonly headers: Record<string, string>;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    const [status, message] = CATALOGUE[code];
    super(details.message ?? message, { cause: details.cause });
    this.name = 'TidemarkError';
    this.code = code;
    this.status = status;
    this.field = details.field;
    this.headers = details.headers ?? {};
  }
}

/** The refusal of one named field: 400 `invalid_field`. */
export function invalidField(field: string, message: string): TidemarkError {
  return new TidemarkError('invalid_field', { field, message });
}

/** Whether `error` is the catalogue's refusal with this code. */
export function hasCode(error: unknown, code: ErrorCode): error is TidemarkError {
  return error instanceof TidemarkError && error.code === code;
}
