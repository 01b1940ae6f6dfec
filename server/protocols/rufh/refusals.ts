/**
 * The refusals of the endpoint, as problem documents (RFC 9457). This is the only file of `server/protocols/rufh/` with
 * statuses of refusals.
 */
import { Refusal, type RefusalDetails, retryAfter } from '../../refusal.ts';
import type { ErrorCode, TidemarkError } from '../../uploads/errors.ts';

type Row = readonly [status: number, message?: string];

// oxfmt-ignore
const TABLE = {
  // code                       status  message; the domain's codes have their own
  invalid_field:               [400],
  incomplete_form:             [400, 'The connection ended before the content did.'],
  // The content of one request: nothing of it counts, and it can be sent again.
  checksum_mismatch:           [400],
  // Not 460: a client of this protocol would resume, and the bytes stay wrong.
  digest_mismatch:             [400],
  // Draft, "Upload Creation" and "Upload Append".
  inconsistent_upload_length:  [400, 'The lengths that the requests of this upload announce differ.'],
  completed_upload:            [400, 'The upload is complete already.'],
  partial_not_found:           [400],
  not_partial:                 [400],
  // What a final upload has, the service writes itself.
  upload_is_partial:           [403, 'This upload is a part of another one (tus, Upload-Concat): continue it by tus.'],
  upload_is_final:             [403],
  not_found:                   [404],
  // The upload was ended by its own client: to that one it is gone as any other that is not there.
  upload_terminated:           [404],
  method_not_allowed:          [405, 'This method is not supported here.'],
  offset_conflict:             [409],
  folder_exists:               [409],
  upload_expired:              [410],
  upload_rejected:             [410],
  too_large:                   [413],
  quota_reached:               [413],
  over_quota:                  [413],
  unsupported_media_type:      [415, 'The Content-Type is not supported here.'],
  too_many_uploads:            [429],
  internal:                    [500],
  content_damaged:             [500],
  upload_locked:               [503],
  upload_taken_over:           [503],
  store_unavailable:           [503],
  shutting_down:               [503],
  store_full:                  [507],
} as const satisfies Record<ErrorCode, Row> & Record<string, Row>;

/** Codes of this endpoint that the domain does not have. */
type RufhCode = Exclude<keyof typeof TABLE, ErrorCode>;

/** The HTTP status for each code. */
export const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries(TABLE).map(([code, [status]]) => [code, status]),
);

/** IANA: "HTTP Problem Types". */
const PROBLEM_TYPES = 'https://iana.org/assignments/http-problem-types#';
const TYPES: Readonly<Record<string, string>> = {
  offset_conflict: `${PROBLEM_TYPES}mismatching-upload-offset`,
  inconsistent_upload_length: `${PROBLEM_TYPES}inconsistent-upload-length`,
  completed_upload: `${PROBLEM_TYPES}completed-upload`,
};

/** The request header that an error of the domain is about. */
const FIELDS: Partial<Record<ErrorCode, string>> = { too_large: 'Upload-Length', offset_conflict: 'Upload-Offset' };

/** When a request that waited for another one may succeed. */
const RETRY_LOCKED_MS = 1_000;

/** A problem document; `code` and `field` are those of the service's other errors. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  field?: string;
  'expected-offset'?: number;
  'provided-offset'?: number;
}

/** Makes the refusal for a code of this endpoint, with the message of the table unless `details` has one. */
export function refusal(code: RufhCode, details: RefusalDetails = {}): Refusal {
  const [status, message] = TABLE[code];
  return new Refusal(code, status, { message, ...details });
}

/** Makes the refusal for a request header that is not valid. */
export function invalidHeader(field: string, message: string, headers: Record<string, string> = {}): Refusal {
  return new Refusal('invalid_field', TABLE.invalid_field[0], { field, message, headers });
}

/** Makes the refusal for an error of the domain. */
export function refusalOf(error: TidemarkError): Refusal {
  const { code, cause, offset, retryAfterMs } = error;
  const isLocked = code === 'upload_locked' || code === 'upload_taken_over';
  return new Refusal(code, TABLE[code][0], {
    message:
      code === 'offset_conflict' && offset !== undefined
        ? `Upload-Offset differs from the stored offset, ${offset}.`
        : error.message,
    field: FIELDS[code] ?? error.field,
    headers: {
      ...(offset === undefined ? {} : { 'Upload-Offset': String(offset) }),
      ...retryAfter(retryAfterMs ?? (isLocked ? RETRY_LOCKED_MS : undefined)),
    },
    // Shows in the log where the error was thrown.
    cause: cause ?? error,
  });
}

/** The problem document of a refusal. @param providedOffset - of the request, where it gave one. */
export function problemOf(refused: Refusal, providedOffset: number | undefined): Problem {
  const { code, status, message, field, headers } = refused;
  const expected = headers['Upload-Offset'];
  return {
    type: TYPES[code] ?? 'about:blank',
    title: code.replaceAll('_', ' '),
    status,
    detail: message,
    code,
    ...(field === undefined ? {} : { field }),
    ...(code === 'offset_conflict' && expected !== undefined ? { 'expected-offset': Number(expected) } : {}),
    ...(code === 'offset_conflict' && providedOffset !== undefined ? { 'provided-offset': providedOffset } : {}),
  };
}
