/**
 * The part file of a download: `.<name>.<first digits of the MD5>.<process mark>.tidemark-part` beside the target.
 *
 * The mark in the name says which run owns the file. A run takes over the file of a run that has ended by renaming it: of
 * several runs that try, one succeeds. So two runs never write to the same file.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CliError } from './errors.ts';
import { lifeOf, ownMark } from './process-mark.ts';

const ENDING = '.tidemark-part';
/** Most file systems allow names of 255 bytes; MD5, mark and ending take less than a hundred of them. */
const MOST_NAME_BYTES = 150;
/** When a part file of another machine or container counts as abandoned: its process cannot be looked up from here. */
const ABANDONED_MS = 7 * 24 * 3600 * 1000;

/** Lists the names of part files in a folder, whoever has made them. */
export type ListParts = (folder: string) => Promise<readonly string[]>;

/** Lists them as they are now. */
export const listParts: ListParts = async (folder) => {
  // A folder may be writable but not readable: then nothing is found.
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => name.endsWith(ENDING));
};

/**
 * Lists them as they were when each folder was first asked for: a run that fills folders reads each of them once, however many
 * files come into it. It does not see those of runs that begin later: then both bring the file, and one gives it its name.
 */
export function listPartsOnce(): ListParts {
  const listed = new Map<string, Promise<readonly string[]>>();
  return (folder) => {
    const found = listed.get(folder) ?? listParts(folder);
    listed.set(folder, found);
    return found;
  };
}

/**
 * Opens this run's part file, with what an ended run has left.
 *
 * @throws CliError `busy` when another run downloads the same content to this target.
 */
export async function openPart(
  target: string,
  md5: string,
  list: ListParts = listParts,
): Promise<{ path: string; handle: FileHandle }> {
  const folder = dirname(target);
  const beginning = `.${shorten(basename(target))}.${md5.slice(0, 8)}.`;
  const path = join(folder, `${beginning}${ownMark()}${ENDING}`);
  const left = await findLeft(folder, beginning, list);
  // The longest part file is resumed, the others are removed.
  let taken = false;
  for (const part of left) {
    if (taken) await rm(part, { force: true });
    else taken = await rename(part, path).then(() => true, noneLeft);
  }
  // Other users may write to this folder: a planted link is not followed.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  return { path, handle: await open(path, flags, 0o666) };
}

/**
 * Finds part files of runs that have ended, the longest first. Only those of this user: another user could change theirs
 * after it was verified.
 */
async function findLeft(folder: string, beginning: string, list: ListParts): Promise<string[]> {
  const left: { path: string; size: number }[] = [];
  for (const name of await list(folder)) {
    if (!name.startsWith(beginning)) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isFile() !== true || found.uid !== (process.getuid?.() ?? found.uid)) continue;
    const life = lifeOf(name.slice(beginning.length, -ENDING.length));
    if (life === 'running') {
      throw new CliError('busy', `another run of this command is downloading to the same file (${path})`);
    }
    if (life === 'unknown' && Date.now() - found.mtimeMs < ABANDONED_MS) continue;
    left.push({ path, size: found.size });
  }
  return left.sort((a, b) => b.size - a.size).map((part) => part.path);
}

function noneLeft(error: unknown): false {
  // Another run was faster.
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
  throw error;
}

/** A name that is cut ends with a digest of the whole: two that begin alike may have equal bytes, and come at once. */
function shorten(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= MOST_NAME_BYTES) return name;
  // The cut may be in the middle of a character: its bytes are removed.
  const beginning = bytes
    .subarray(0, MOST_NAME_BYTES)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
  return `${beginning}~${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}`;
}
