/** Conditional requests and ranges: RFC 9110 sections 13 and 14. */
import type { IncomingHttpHeaders } from 'node:http';
import parseRange from 'range-parser';
import type { ByteRange } from '../../stores/store.ts';

export interface Representation {
  /** Strong, with its quotes. */
  etag: string;
  /** Left out: it has no Last-Modified, and conditions on it are ignored. */
  modifiedAt?: Date;
  size: number;
}

export type Selection =
  | { kind: 'whole' }
  | { kind: 'range'; range: ByteRange }
  | { kind: 'not_modified' }
  | { kind: 'precondition_failed' }
  | { kind: 'not_satisfiable' };

/** What a GET or HEAD with these headers selects, in the order of RFC 9110 section 13.2.2. */
export function select(method: string, headers: IncomingHttpHeaders, of: Representation): Selection {
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined) {
    if (!listsTag(ifMatch, of.etag, false)) return { kind: 'precondition_failed' };
  } else {
    const unmodifiedSince = parseDate(headers['if-unmodified-since']);
    if (unmodifiedSince !== undefined && of.modifiedAt && seconds(of.modifiedAt) > unmodifiedSince)
      return { kind: 'precondition_failed' };
  }
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) {
    if (listsTag(ifNoneMatch, of.etag, true)) return { kind: 'not_modified' };
  } else {
    const modifiedSince = parseDate(headers['if-modified-since']);
    if (modifiedSince !== undefined && of.modifiedAt && seconds(of.modifiedAt) <= modifiedSince)
      return { kind: 'not_modified' };
  }
  // Section 14.2: Range is defined only for GET.
  return method === 'GET' ? selectRange(headers, of) : { kind: 'whole' };
}

function selectRange(headers: IncomingHttpHeaders, of: Representation): Selection {
  const { range } = headers;
  if (range === undefined || !stillTheSame(headers['if-range'], of)) return { kind: 'whole' };
  // A suffix longer than the file means the whole file (RFC 9110 section 14.1.2), but the parser finds it unsatisfiable.
  const clamped = range.replace(
    /([=,]\s*)-(\d+)/g,
    (_, before: string, length: string) => `${before}-${Math.min(Number(length), of.size)}`,
  );
  const parsed = parseRange(of.size, clamped, { combine: true });
  if (parsed === -1) return { kind: 'not_satisfiable' };
  // For a malformed range, another unit, or several ranges apart, the whole file is a valid answer (section 14.2).
  if (parsed === -2 || parsed.type !== 'bytes' || parsed.length !== 1 || !parsed[0]) return { kind: 'whole' };
  return { kind: 'range', range: { start: parsed[0].start, end: parsed[0].end } };
}

function stillTheSame(ifRange: string | string[] | undefined, of: Representation): boolean {
  if (ifRange === undefined) return true;
  const value = String(ifRange).trim();
  if (value.startsWith('"')) return value === of.etag;
  return of.modifiedAt !== undefined && parseDate(value) === seconds(of.modifiedAt);
}

function listsTag(header: string, etag: string, weakly: boolean): boolean {
  if (header.trim() === '*') return true;
  return header.split(',').some((entry) => {
    const tag = entry.trim();
    return tag === etag || (weakly && tag === `W/${etag}`);
  });
}

/** Reads a date in one of the three forms of RFC 9110 section 5.6.7, all in GMT, as seconds; undefined for any other text. */
function parseDate(header: string | undefined): number | undefined {
  const form = /^([A-Z][a-z]{2,8},? .*\d)(?: GMT)?$/.exec(header?.trim() ?? '');
  const time = form ? Date.parse(`${form[1]} GMT`) : NaN;
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
