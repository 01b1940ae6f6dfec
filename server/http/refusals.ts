/** The refusals of the HTTP routes, the older API included. This is the only file of `server/http/` with their statuses. */
import { LinkError, type LinkErrorCode } from '../links/errors.ts';
import { Refusal, type RefusalDetails, retryAfter } from '../refusal.ts';
import { type ErrorCode, TidemarkError } from '../uploads/errors.ts';

type Row = readonly [status: number, message?: string];

// oxfmt-ignore
const TABLE = {
  // code                    status  message; the domain's codes have their own
  invalid_request:          [400, 'The request is not valid.'],
  invalid_field:            [400],
  incomplete_form:          [400],
  partial_not_found:        [400],
  not_partial:              [400],
  unauthorized:             [401, 'A valid token is required: Authorization: Bearer <token>.'],
  forbidden_operation:      [403, 'This operation is not supported.'],
  upload_is_final:          [403],
  password_required:        [403],
  wrong_password:           [403],
  origin_not_allowed:       [403, 'Pages of this origin may not use this service.'],
  not_found:                [404],
  not_served_here:          [404, 'Another process of this service answers to this; see SERVICES.'],
  method_not_allowed:       [405, 'This method is not supported here.'],
  request_timeout:          [408, 'The request did not arrive in time.'],
  checksum_mismatch:        [400],
  folder_exists:            [409],
  offset_conflict:          [409],
  too_many_links:           [409],
  upload_expired:           [410],
  upload_rejected:          [410],
  upload_terminated:        [410],
  link_expired:             [410],
  link_closed:              [403],
  link_sent:                [403],
  link_files_used:          [413],
  link_bytes_used:          [413],
  link_file_too_large:      [413],
  link_type_refused:        [415],
  link_used_up:             [410],
  link_empty:               [410],
  unsupported_tus_version:  [412, 'Tus-Resumable must be 1.0.0.'],
  precondition_failed:      [412, 'The file is not the one that the request is conditional on.'],
  too_large:                [413],
  quota_reached:            [413],
  over_quota:               [413],
  unsupported_media_type:   [415, 'The Content-Type is not supported here.'],
  range_not_satisfiable:    [416, 'The range lies outside the file.'],
  unknown_host:             [421, 'Without tokens this service does not answer to that name.'],
  upload_locked:            [423],
  upload_taken_over:        [423],
  too_many_listeners:       [429, 'There are too many listeners to the events of this owner; try again later.'],
  too_many_uploads:         [429],
  too_many_attempts:        [429],
  digest_mismatch:          [460],
  internal:                 [500],
  content_damaged:          [500],
  not_implemented:          [501, 'This is not supported.'],
  store_unavailable:        [503],
  passwords_busy:           [503],
  too_many_connections:     [503, 'As many requests are under way as this service can serve; try again shortly.'],
  shutting_down:            [503],
  store_full:               [507],
} as const satisfies Record<ErrorCode | LinkErrorCode, Row> & Record<string, Row>;

/** Codes of the HTTP routes that the domain does not have. */
type HttpCode = Exclude<keyof typeof TABLE, ErrorCode | LinkErrorCode>;

/** The HTTP status for each code. */
export const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries(TABLE).map(([code, [status]]) => [code, status]),
);

/** The name of a field for clients, where the domain calls it otherwise. */
const FIELDS: Partial<Record<ErrorCode, string>> = { too_large: 'Upload-Length' };

/** Makes the refusal for a code of the HTTP routes, with the message of the table unless `details` has one. */
export function refusal(code: HttpCode, details: RefusalDetails = {}): Refusal {
  const [status, message] = TABLE[code];
  return new Refusal(code, status, { message, ...details });
}

/** Makes the refusal of a request without a valid token. */
export function unauthorized(): Refusal {
  return refusal('unauthorized', { headers: { 'WWW-Authenticate': 'Bearer realm="tidemark"' } });
}

/** Makes the refusal for a body that is no file, and too long. */
export function bodyTooLarge(message: string): Refusal {
  return new Refusal('too_large', TABLE.too_large[0], { message });
}

/** Makes the refusal for any error: `internal` for one that is not known. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof TidemarkError) return refusalOf(error);
  if (error instanceof LinkError) return refusalOfLink(error);
  // Koa and its middleware throw HttpError: a status below 500 is about the request.
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 404) return refusalOf(new TidemarkError('not_found', { cause: error }));
  if (status === 405) return refusal('method_not_allowed', { cause: error });
  if (typeof status === 'number' && status >= 400 && status < 500) return refusal('invalid_request', { cause: error });
  return refusalOf(new TidemarkError('internal', { cause: error }));
}

function refusalOfLink(error: LinkError): Refusal {
  const { code, message, field, retryAfterMs } = error;
  return new Refusal(code, TABLE[code][0], {
    message,
    field: field === 'size' ? 'Upload-Length' : field,
    headers: retryAfter(retryAfterMs),
    cause: error,
  });
}

function refusalOf(error: TidemarkError): Refusal {
  const { code, message, cause, retryAfterMs } = error;
  return new Refusal(code, TABLE[code][0], {
    message,
    field: FIELDS[code] ?? error.field,
    headers: retryAfter(retryAfterMs),
    // Shows in the log where the error was thrown.
    cause: cause ?? error,
  });
}
