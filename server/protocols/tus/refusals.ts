/** The refusals of the tus endpoint. This is the only file of `server/protocols/tus/` with statuses of refusals. */
import { Refusal, type RefusalDetails, retryAfter } from '../../refusal.ts';
import type { ErrorCode, TidemarkError } from '../../uploads/errors.ts';

type Row = readonly [status: number, message?: string];

// oxfmt-ignore
const TABLE = {
  // code                    status  message; the domain's codes have their own
  invalid_field:            [400],
  invalid_metadata:         [400, 'Upload-Metadata is not valid.'],
  incomplete_form:          [400],
  partial_not_found:        [400],
  not_partial:              [400],
  // tus 1.0.0, "Concatenation": PATCH of a final upload.
  upload_is_final:          [403],
  not_found:                [404],
  method_not_allowed:       [405, 'This method is not supported here.'],
  // tus 1.0.0, "PATCH": the offset of the request and that of the upload must be equal.
  offset_conflict:          [409],
  folder_exists:            [409],
  upload_expired:           [410],
  upload_rejected:          [410],
  upload_terminated:        [410],
  // tus 1.0.0, "Tus-Version".
  unsupported_tus_version:  [412, 'Tus-Resumable must be 1.0.0.'],
  // tus 1.0.0, "Creation": a length that exceeds Tus-Max-Size.
  too_large:                [413],
  quota_reached:            [413],
  over_quota:               [413],
  // tus 1.0.0, "PATCH": its Content-Type.
  unsupported_media_type:   [415, 'The Content-Type is not supported here.'],
  upload_locked:            [423],
  upload_taken_over:        [423],
  too_many_uploads:         [429],
  // tus 1.0.0, "Checksum".
  checksum_mismatch:        [460],
  digest_mismatch:          [460],
  internal:                 [500],
  content_damaged:          [500],
  store_unavailable:        [503],
  shutting_down:            [503],
  store_full:               [507],
} as const satisfies Record<ErrorCode, Row> & Record<string, Row>;

/** Codes of the tus endpoint that the domain does not have. */
type TusCode = Exclude<keyof typeof TABLE, ErrorCode>;

/** The HTTP status for each code. */
export const STATUSES: ReadonlyMap<string, number> = new Map(
  Object.entries(TABLE).map(([code, [status]]) => [code, status]),
);

/** The request header that an error of the domain is about. */
const FIELDS: Partial<Record<ErrorCode, string>> = {
  too_large: 'Upload-Length',
  offset_conflict: 'Upload-Offset',
  partial_not_found: 'Upload-Concat',
  not_partial: 'Upload-Concat',
};

/** Makes the refusal for a code of this endpoint, with the message of the table unless `details` has one. */
export function refusal(code: TusCode, details: RefusalDetails = {}): Refusal {
  const [status, message] = TABLE[code];
  return new Refusal(code, status, { message, ...details });
}

/** Makes the refusal for a request header that is not valid. */
export function invalidHeader(field: string, message: string, cause?: unknown): Refusal {
  return new Refusal('invalid_field', TABLE.invalid_field[0], { field, message, cause });
}

/** Makes the refusal for a body that is longer than what the upload may still get. */
export function bodyTooLarge(message: string, cause?: unknown): Refusal {
  return new Refusal('too_large', TABLE.too_large[0], { field: 'Content-Length', message, cause });
}

/** Makes the refusal for an error of the domain. */
export function refusalOf(error: TidemarkError): Refusal {
  const { code, cause } = error;
  return new Refusal(code, TABLE[code][0], {
    message: code === 'offset_conflict' ? sentenceOfOffset(error) : error.message,
    field: FIELDS[code] ?? error.field,
    headers: headersOf(error),
    // Shows in the log where the error was thrown.
    cause: cause ?? error,
  });
}

/** The details of an error of the domain, as headers. */
function headersOf({ offset, retryAfterMs }: TidemarkError): Record<string, string> {
  return {
    ...(offset === undefined ? {} : { 'Upload-Offset': String(offset) }),
    ...retryAfter(retryAfterMs),
  };
}

function sentenceOfOffset({ offset }: TidemarkError): string {
  return `Upload-Offset differs from the stored offset${offset === undefined ? '' : `, ${offset}`}.`;
}
