/**
 * Structured fields (RFC 9651) of requests. A field whose value has another type than the draft gives it is ignored, as if
 * it were absent (RFC 9651, section 4.2).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { parseDictionary, parseItem } from 'structured-headers';
import type { Dialect } from './dialects.ts';

/** The media type of the content of an append. */
export const PARTIAL_TYPE = 'application/partial-upload';

/** An Integer, and not a Decimal, which the parser turns into the same number. */
const INTEGER = /^ *-?\d{1,15} *(?:;|$)/;

/** An Integer field; undefined where it is absent or ignored. */
export function integerField(headers: IncomingHttpHeaders, name: string): number | undefined {
  const text = textOf(headers, name);
  const value = text === undefined || !INTEGER.test(text) ? undefined : itemOf(text);
  return typeof value === 'number' ? value : undefined;
}

/** A Boolean field; undefined where it is absent or ignored. */
export function booleanField(headers: IncomingHttpHeaders, name: string): boolean | undefined {
  const text = textOf(headers, name);
  const value = text === undefined ? undefined : itemOf(text);
  return typeof value === 'boolean' ? value : undefined;
}

/** A Dictionary field without its parameters: `null` where it is not one, undefined where it is absent. */
export function dictionaryField(headers: IncomingHttpHeaders, name: string): Map<string, unknown> | null | undefined {
  const text = textOf(headers, name);
  if (text === undefined) return undefined;
  try {
    return new Map<string, unknown>(Array.from(parseDictionary(text), ([key, [value]]) => [key, value]));
  } catch {
    return null;
  }
}

/** Whether a request completes its upload; undefined where it does not say. */
export function readCompletion(headers: IncomingHttpHeaders, { completion }: Dialect): boolean | undefined {
  const value = booleanField(headers, completion);
  return value === undefined || completion === 'Upload-Complete' ? value : !value;
}

/** A Boolean as it is written in a field. */
export function writeBoolean(value: boolean): '?1' | '?0' {
  return value ? '?1' : '?0';
}

/** How many bytes the content of a request has; undefined where that is not known before its end. */
export function contentLengthOf(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  return Number(headers['content-length'] ?? 0);
}

/** The media type of a request's content, in lower case and without parameters. */
export function mediaTypeOfContent(headers: IncomingHttpHeaders): string | undefined {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}

function itemOf(text: string): unknown {
  try {
    return parseItem(text)[0];
  } catch {
    return undefined;
  }
}

function textOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name.toLowerCase()];
  // Node joins fields that occur several times by commas: an Item of several fields fails to parse.
  return typeof value === 'string' ? value : undefined;
}
