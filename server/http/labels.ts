/** Names and digests of files in queries and forms. */
import { cleanName, isAbsent } from '../wire/labels.ts';
import { checkDigest } from '../uploads/names.ts';
import { type Asked, param } from './query.ts';
import type { Ctx } from './state.ts';

/** The file name in a query parameter, cleaned; undefined where there is none. */
export function nameParam(ctx: Asked, name: string): string | undefined {
  return cleanName(param(ctx, name) ?? '') ?? undefined;
}

/** The digest in a query parameter; null where there is none. @throws `invalid_field`. */
export function digestParam(ctx: Ctx, algorithm: 'md5' | 'sha256'): string | null {
  const given = param(ctx, algorithm);
  return isAbsent(given) ? null : checkDigest(given, algorithm, algorithm);
}

/**
 * Decodes a file's name in a form: browsers percent-encode quotes and line breaks, and nothing else (HTML,
 * "multipart/form-data encoding algorithm").
 */
export function decodeFormName(written: string): string {
  return written.replaceAll(/%(?:22|0D|0A)/g, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
}
