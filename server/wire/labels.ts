/**
 * Labels: what clients declare about a file beside its bytes, its name and media type for example. The service never refuses
 * bytes because of a label. A label that it cannot keep is cleaned, or counts as absent, by the same rule on every route.
 * See docs/decisions/0028-labels-and-names.md.
 */

import {
  byteLength,
  MAX_FOLDER_BYTES,
  MAX_FOLDERS,
  MAX_NAME_CHARACTERS,
  MAX_PATH_BYTES,
  splitExtension,
  splitPath,
} from './paths.ts';

export { MAX_NAME_CHARACTERS } from './paths.ts';

/** Longest media type. RFC 6838 section 4.2: type and subtype have at most 127 characters each. */
const MAX_TYPE_CHARACTERS = 255;

/** C0 and C1 controls, DEL, line and paragraph separators, and lone surrogates. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|\p{Surrogate}/u;
/** What a name cannot have: those characters, and the backslash. */
const UNFIT_IN_NAMES = new RegExp(`${UNFIT.source}|\\\\`, 'gu');
/** A whole Windows path, as old browsers send it: with a drive, or of a network share. */
const WINDOWS_PATH = /^(?:[A-Za-z]:\\|\\\\)/;
/** RFC 6838 section 4.2, with parameters. */
const MEDIA_TYPE =
  /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[\t !#-[\]-~]*"))*$/i;
/** What scripts send where they have no value. */
const NO_VALUE = /^(?:|undefined|null)$/;

/**
 * Cleans the file name that a client sends, which may be a path: a plain relative one is left. Leaves out parts that are
 * empty, `.` or `..`; replaces unfit characters by `_`; removes a leading byte order mark from each part; and cuts a part that is
 * too long before its extension. Of a path that is too long or too deep, folders go, the innermost first. Of a path of
 * Windows only the last part is kept.
 *
 * @returns null where nothing is left: the name counts as absent.
 */
export function cleanName(given: string): string | null {
  const path = WINDOWS_PATH.test(given) ? (given.split(/[\\/]/).findLast(Boolean) ?? '') : given;
  const parts = path
    .split('/')
    .map(cleanPart)
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.length === 0 ? null : fitted(parts).join('/');
}

/** Why a name cannot be a path of the catalog, in words that follow its field; undefined where it can. */
export function pathProblem(name: string): string | undefined {
  const { folders } = splitPath(name);
  if (folders.length > MAX_FOLDERS) return `must have at most ${MAX_FOLDERS} folders`;
  if (byteLength(name) > MAX_PATH_BYTES) return `must be at most ${MAX_PATH_BYTES} bytes long in UTF-8`;
  if (byteLength(folders.join('/')) > MAX_FOLDER_BYTES)
    return `must be at most ${MAX_FOLDER_BYTES} bytes long in UTF-8, without its last part`;
  return undefined;
}

function cleanPart(part: string): string {
  return shorten(part.replace(/^\ufeff+/, '').replaceAll(UNFIT_IN_NAMES, '_'));
}

function fitted(parts: string[]): string[] {
  const name = parts.slice(-1);
  let folders = parts.slice(0, Math.min(parts.length - 1, MAX_FOLDERS));
  const isTooLong = (): boolean =>
    byteLength([...folders, ...name].join('/')) > MAX_PATH_BYTES || byteLength(folders.join('/')) > MAX_FOLDER_BYTES;
  while (folders.length > 0 && isTooLong()) folders = folders.slice(0, -1);
  return [...folders, ...name];
}

/** Whether a text has characters that no name can have, and for which nobody can search. */
export function hasUnfitCharacters(text: string): boolean {
  return UNFIT.test(text);
}

/** A file's name as it is written in a header: percent-encoded UTF-8. */
export function encodeName(name: string): string {
  return encodeURIComponent(name);
}

/** The media type that a client declares; null where it is not a valid one. */
export function mediaTypeOf(given: string | null | undefined): string | null {
  const type = given?.trim() ?? '';
  return type.length <= MAX_TYPE_CHARACTERS && MEDIA_TYPE.test(type) ? type : null;
}

/**
 * Whether a client declares no digest. A malformed digest is not absent, and has to be refused: otherwise nobody would
 * compare it.
 */
export function isAbsent(digest: string | undefined): digest is undefined {
  return digest === undefined || NO_VALUE.test(digest.trim());
}

function shorten(name: string): string {
  const characters = Array.from(name);
  if (characters.length <= MAX_NAME_CHARACTERS) return name;
  const extension = Array.from(splitExtension(name)[1]);
  return [...characters.slice(0, MAX_NAME_CHARACTERS - extension.length), ...extension].join('');
}
