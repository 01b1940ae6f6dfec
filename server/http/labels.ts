/** The labels of a file in a query, and the name that was taken, in an answer. */
import { cleanName, isAbsent } from '../wire/labels.ts';
import { checkDigest } from '../uploads/names.ts';
import { param } from './query.ts';
import type { Ctx } from './state.ts';

/** The name that a query gives a file, cleaned; undefined where it gives none. */
export function nameParam(ctx: Ctx, name: string): string | undefined {
  return cleanName(param(ctx, name) ?? '') ?? undefined;
}

/** A digest of a query; null where it gives none. @throws `invalid_field`. */
export function digestParam(ctx: Ctx, algorithm: 'md5' | 'sha256'): string | null {
  const given = param(ctx, algorithm);
  return isAbsent(given) ? null : checkDigest(given, algorithm, algorithm);
}

/**
 * Undoes what browsers do to a file's name in a form: they write quotes and line ends so, and nothing else
 * (HTML, "multipart/form-data encoding algorithm").
 */
export function decodeFormName(written: string): string {
  return written.replaceAll(/%(?:22|0D|0A)/g, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
}
