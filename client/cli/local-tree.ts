/**
 * Where the files of a folder go on this disk. Names in the catalog are untrusted: nothing is written outside of the target, not
 * through a symbolic link either, and no file of a run over another one of it, whatever names the disk takes for the same.
 */
import { lstat, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stats } from 'node:fs';
import { roomForNumber, splitPath } from '../../server/wire/paths.ts';
import { CliError } from './errors.ts';
import { safeName } from './safe-name.ts';

export interface LocalTree {
  /**
   * The path for a file, whose folders are made. Where a file of this run is there, the name gets a number.
   *
   * @param name - in the catalog, from the folder that is downloaded.
   * @returns `there`: something else is at the path already.
   * @throws CliError `not_a_folder` where a link or a file is in the way of a folder.
   */
  place(name: string): Promise<{ path: string; there: Stats | null }>;
  /** Notes that a file of this run is at the path. */
  note(path: string): Promise<void>;
}

/** @param root - the target, which may be a link to a folder. */
export async function openLocalTree(root: string): Promise<LocalTree> {
  await mkdir(root, { recursive: true });
  if (!(await stat(root)).isDirectory()) throw new CliError('not_a_folder', `${root} is not a folder`);
  /** By their paths in the catalog. */
  const folders = new Map<string, string>([['', root]]);
  /** What this run has written, or found right, by device and inode. */
  const ours = new Set<string>();

  async function folderOf(names: readonly string[]): Promise<string> {
    let local = root;
    for (let depth = 1; depth <= names.length; depth++) {
      const key = names.slice(0, depth).join('/');
      local = folders.get(key) ?? (await makeFolder(local, names[depth - 1] ?? ''));
      folders.set(key, local);
    }
    return local;
  }

  async function makeFolder(parent: string, name: string): Promise<string> {
    for (const candidate of candidates(name)) {
      const path = join(parent, candidate);
      await mkdir(path).catch(ignoreExisting);
      const there = await lstat(path);
      if (there.isDirectory()) return path;
      // A file of this run, which the catalog has beside the folder.
      if (ours.has(markOf(there))) continue;
      const what = there.isSymbolicLink() ? 'a symbolic link' : 'not a folder';
      throw new CliError('not_a_folder', `${path} is ${what}: nothing is written through it`);
    }
    throw new Error('there is always another number');
  }

  return {
    async place(path) {
      const { folders: names, name } = splitPath(path);
      const folder = await folderOf(names);
      for (const candidate of candidates(name)) {
        const local = join(folder, candidate);
        const there = await lstat(local).catch(() => null);
        if (there === null || !(there.isDirectory() || ours.has(markOf(there)))) return { path: local, there };
      }
      throw new Error('there is always another number');
    },
    async note(path) {
      ours.add(markOf(await lstat(path)));
    },
  };
}

/** The name as this disk can have it, and then with numbers. */
function* candidates(name: string): Generator<string> {
  yield safeName(name);
  const [stem, extension] = roomForNumber(name);
  for (let number = 2; ; number++) yield safeName(`${stem} (${number})${extension}`);
}

function markOf({ dev, ino }: Stats): string {
  return `${dev} ${ino}`;
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
