/**
 * A refusal as an edge answers it. Each edge has its own table (http/refusals.ts, tus/refusals.ts), by which it turns the
 * errors of the domain (uploads/errors.ts) into refusals.
 */

export interface RefusalDetails {
  /** A sentence for the caller that says what is wrong and what would be right; by default the table's. */
  message?: string;
  /** The invalid field of the request: a query parameter, header, form field or metadata key. */
  field?: string | undefined;
  /** Headers of the answer, e.g. `Allow` with a 405. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** The header that says when a retry may succeed. */
export function retryAfter(afterMs: number | undefined): Record<string, string> {
  return afterMs === undefined ? {} : { 'Retry-After': String(Math.ceil(afterMs / 1000)) };
}

/** A refusal. `message` is safe to show to a user; `cause` is only for the log. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly field: string | undefined;
  readonly headers: Record<string, string>;

  constructor(code: string, status: number, details: RefusalDetails & { message: string }) {
    super(details.message, { cause: details.cause });
    this.name = 'Refusal';
    this.code = code;
    this.status = status;
    this.field = details.field;
    this.headers = details.headers ?? {};
  }
}
