/**
 * A refusal as an edge answers it. Each edge makes its own by its own table (http/refusals.ts, tus/refusals.ts); what
 * stands below the edges throws the domain's errors (uploads/errors.ts).
 */

export interface RefusalDetails {
  /** A sentence for the caller that says what is wrong and what would be right; the table's by default. */
  message?: string;
  /** The request field at fault: a query parameter, header, form field or metadata key. */
  field?: string | undefined;
  /** Response headers that it carries, e.g. `Allow` with a 405. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** When another try may be worth it, as a header. */
export function retryAfter(afterMs: number | undefined): Record<string, string> {
  return afterMs === undefined ? {} : { 'Retry-After': String(Math.ceil(afterMs / 1000)) };
}

/** `message` is safe to show to a user; `cause` is for the log alone. */
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
