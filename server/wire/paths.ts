/** Names that are paths: parts separated by `/`. The last part is the file's own name, the others are its folders. */

/** Longest part of a name, in characters (Unicode code points). */
export const MAX_NAME_CHARACTERS = 255;
/** Longest name with its folders, in bytes of UTF-8. */
export const MAX_PATH_BYTES = 4_096;
/** Longest path of a file's folders, in bytes of UTF-8: so a name with a number fits behind it. */
export const MAX_FOLDER_BYTES = 4_080;
/** The most folders of a name: each of them is a row that an upload changes. */
export const MAX_FOLDERS = 100;
/** The longest extension, with its dot, before which a number is put, and which is kept when a name is cut. */
const LONGEST_EXTENSION = 16;
/** Room for the number of a name that is taken. */
const NUMBER_CHARACTERS = ' (99999999)'.length;

/** A name in its parts. */
export interface SplitPath {
  /** From the top down; none: the file is at the top. */
  folders: string[];
  /** The last part. */
  name: string;
}

/** Splits a name into its folders and its last part. */
export function splitPath(path: string): SplitPath {
  const folders = path.split('/');
  const name = folders.pop() ?? '';
  return { folders, name };
}

/** The last part of a name: what the file is called in its folder. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Puts a folder's path before a name. @param folder - null: the top. */
export function joinPath(folder: string | null, name: string): string {
  return folder === null ? name : `${folder}/${name}`;
}

/** Paths from the innermost folder that has all of them; of one, the last part alone. */
export function fromCommonFolder(paths: readonly string[]): string[] {
  let common = paths[0] ?? '';
  for (const path of paths) {
    let end = common.lastIndexOf('/') + 1;
    while (end > 0 && !path.startsWith(common.slice(0, end))) end = common.lastIndexOf('/', end - 2) + 1;
    common = common.slice(0, end);
  }
  return paths.map((path) => path.slice(common.length));
}

/**
 * What comes before and after the number in the name that a file gets where its own is taken: `name (2).ext`. A long name is cut
 * to make room for any number; so is one at the end of a long path.
 *
 * @param folder - its path; null: the top.
 */
export function roomForNumber(name: string, folder: string | null = null): [stem: string, extension: string] {
  const mostBytes = MAX_PATH_BYTES - byteLength(joinPath(folder, '')) - NUMBER_CHARACTERS;
  const [stem, extension] = splitExtension(name);
  const most = MAX_NAME_CHARACTERS - Array.from(extension).length - NUMBER_CHARACTERS;
  const cut = shortened(stem, most, mostBytes - byteLength(extension));
  // Where there is no room for the extension, the number is worth more.
  return cut === '' ? [shortened(name, most, mostBytes), ''] : [cut, extension];
}

/** The name with a number. @param folder - its path; null: the top. */
export function numberedName(name: string, number: number, folder: string | null = null): string {
  const [stem, extension] = roomForNumber(name, folder);
  return `${stem} (${number})${extension}`;
}

/** The beginning of a text that has at most so many characters, and bytes in UTF-8. */
function shortened(text: string, mostCharacters: number, mostBytes: number): string {
  let left = mostBytes;
  const fits = (character: string): boolean => (left -= byteLength(character)) >= 0;
  const characters = Array.from(text).slice(0, mostCharacters);
  const end = characters.findIndex((character) => !fits(character));
  return characters.slice(0, end === -1 ? undefined : end).join('');
}

/** The length in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A part of a name without and with its extension. */
export function splitExtension(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.');
  const cut = dot > 0 && Array.from(name.slice(dot)).length <= LONGEST_EXTENSION ? dot : name.length;
  return [name.slice(0, cut), name.slice(cut)];
}
