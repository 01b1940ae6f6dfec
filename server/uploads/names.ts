/** Names of files and of contents: what is accepted, and how a content's name is written. */
import { extname } from 'node:path';
import mime from 'mime-types';
import { invalidField } from './errors.ts';
import type { ContentName } from './contract.ts';
import { hasUnfitCharacters, MAX_NAME_CHARACTERS, pathProblem } from '../wire/labels.ts';

/** Longest text to search names for, in UTF-8 bytes. */
export const MAX_SEARCH_BYTES = 255;

const DIGEST_LENGTHS = { md5: 32, sha1: 40, sha256: 64 } as const;

/**
 * Checks the name of a file or a folder that a person gives, and that is not changed: the refusal says what is wrong with it.
 * It may be a path. Accepts the names that `cleanName` leaves unchanged.
 *
 * @param field - the request field to name in the refusal.
 * @throws `invalid_field`.
 */
export function checkName(name: string, field: string): string {
  if (name === '') throw invalidField(field, `${field} must not be empty.`);
  if (name.includes('\\')) throw invalidField(field, `${field} must not contain backslashes.`);
  checkCharacters(name, field);
  for (const part of name.split('/')) checkPart(part, field);
  const problem = pathProblem(name);
  if (problem) throw invalidField(field, `${field} ${problem}.`);
  return name;
}

function checkPart(part: string, field: string): void {
  if (part === '' || part === '.' || part === '..') {
    throw invalidField(field, `${field} must be a plain name or path: no part of it may be empty, "." or "..".`);
  }
  if (Array.from(part).length > MAX_NAME_CHARACTERS) {
    throw invalidField(
      field,
      `${field} must be at most ${MAX_NAME_CHARACTERS} characters long, in each part of a path.`,
    );
  }
  if (part.startsWith('\ufeff')) throw invalidField(field, `${field} must not begin with a byte order mark.`);
}

/** As `checkName`, for a name without folders. */
export function checkPlainName(name: string, field: string): string {
  if (name.includes('/')) throw invalidField(field, `${field} must be a plain file name, without path parts.`);
  return checkName(name, field);
}

/**
 * Refuses characters that no name may have.
 *
 * @throws `invalid_field`.
 */
export function checkCharacters(text: string, field: string): void {
  if (hasUnfitCharacters(text)) throw invalidField(field, `${field} must not contain control characters.`);
}

/**
 * Accepts a hex digest in either letter case.
 *
 * @returns the digest in lower case.
 * @throws `invalid_field`.
 */
export function checkDigest(value: string, algorithm: keyof typeof DIGEST_LENGTHS, field: string): string {
  const length = DIGEST_LENGTHS[algorithm];
  if (value.length !== length || !/^[0-9a-f]+$/i.test(value)) {
    throw invalidField(field, `${field} must be ${length} hexadecimal digits.`);
  }
  return value.toLowerCase();
}

/**
 * Accepts a whole number of bytes in plain decimal digits.
 *
 * @throws `invalid_field`.
 */
export function checkSize(value: string, field: string): number {
  const size = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(size)) {
    throw invalidField(field, `${field} must be a whole number of bytes.`);
  }
  return size;
}

/** The extension of a file name, lower-case with its dot, where it is plain letters and digits; else ''. */
export function extensionOf(filename: string | null): string {
  const extension = extname(filename ?? '').toLowerCase();
  return /^\.[a-z0-9]{1,16}$/.test(extension) ? extension : '';
}

/** The media type of a name's extension; null when it is unknown. */
export function typeOfName(filename: string): string | null {
  return mime.lookup(extensionOf(filename)) || null;
}

/** `<md5>`, or `<md5>-<variant>` for contents that share their MD5 with an earlier one. */
export function formatContentName(content: { md5: string; variant: number }): string {
  return content.variant === 0 ? content.md5 : `${content.md5}-${content.variant}`;
}

/**
 * Reads a content's name: what `formatContentName` writes, or a SHA-1 or SHA-256.
 *
 * @returns undefined where `text` is none of these.
 */
export function parseContentName(text: string): ContentName | undefined {
  const match = /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?:-([1-9]\d{0,5}))?$/i.exec(text);
  const digest = match?.[1]?.toLowerCase();
  if (!match || !digest) return undefined;
  const algorithm = digest.length === 32 ? 'md5' : digest.length === 40 ? 'sha1' : 'sha256';
  if (match[2] && algorithm !== 'md5') return undefined;
  return { algorithm, digest, variant: match[2] ? Number(match[2]) : 0 };
}
