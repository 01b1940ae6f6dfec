/** Names and digests of files in queries and forms. */
import { cleanName, isAbsent } from '../wire/labels.ts';
import type { OnConflict } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkDigest } from '../uploads/names.ts';
import { type Asked, param } from './query.ts';
import type { Ctx } from './state.ts';

/** The file name in a query parameter, cleaned; undefined where there is none. */
export function nameParam(ctx: Asked, name: string): string | undefined {
  return cleanName(param(ctx, name) ?? '') ?? undefined;
}

/** The path of a folder in a query parameter, without a slash at its end; undefined where there is none. */
export function folderParam(ctx: Asked, name: string): string | undefined {
  const given = param(ctx, name);
  return given === undefined ? undefined : withoutSlash(given);
}

/** The path of a folder, without a slash at its end. */
export function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

/** What becomes of another file that has the name; undefined where the request does not say. @throws `invalid_field`. */
export function conflictParam(ctx: Asked): OnConflict | undefined {
  return readConflict(param(ctx, 'onconflict'));
}

/** The same of a field of a body. @throws `invalid_field`. */
export function readConflict(given: unknown): OnConflict | undefined {
  if (given === undefined || given === '') return undefined;
  if (given === 'rename' || given === 'replace') return given;
  throw invalidField('onconflict', 'onconflict must be one of rename, replace.');
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
