/** Names of the catalog as names of files on this disk. */
import { basename } from 'node:path';
import { printable } from './format.ts';

/** The longest file name on ext4; APFS and NTFS allow as many or more. */
const MOST_NAME_BYTES = 255;

/** A name in the catalog is untrusted: its last part becomes the name of a file, never a path. */
export function safeName(name: string): string {
  const plain = basename(printable(name).replaceAll('\\', '_'));
  return plain === '' || plain === '.' || plain === '..' ? 'download' : shortenName(plain);
}

/** Shortens a name to what file systems accept; keeps its end: an extension, which shows the kind of file, or a number with it. */
function shortenName(name: string): string {
  if (Buffer.byteLength(name) <= MOST_NAME_BYTES) return name;
  const end = /(?: \(\d{1,8}\))?(?:\.[^.]{1,16})?$/.exec(name)?.[0] ?? '';
  let stem = '';
  for (const character of name) {
    if (Buffer.byteLength(stem + character + end) > MOST_NAME_BYTES) break;
    stem += character;
  }
  return stem + end;
}
