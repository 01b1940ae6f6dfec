/**
 * Where the files of a folder go on this disk. Names in the catalog are untrusted: nothing is written outside of the target, not
 * through a symbolic link either, and no file of a run over another one of it, whatever names the disk takes for the same.
 */
import { lstat, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BigIntStats } from 'node:fs';
import { roomForNumber, splitPath } from '../../server/wire/paths.ts';
import { CliError } from './errors.ts';
import { safeName } from './safe-name.ts';

export interface LocalTree {
  /**
   * The place of a file, whose folders are made. Where another file of this run has the path, the name gets a number. Several files
   * may be on their way at once.
   *
   * @param name - in the catalog, from the folder that is downloaded.
   * @throws CliError `not_a_folder` where a link or a file is in the way of a folder.
   */
  place(name: string): Promise<LocalPlace>;
}

export interface LocalPlace {
  path: string;
  /** What is there already. */
  there: BigIntStats | null;
  /** Has to be called once the file is there, or nothing more is written to the path. */
  leave: () => Promise<void>;
}

/** @param root - the target, which may be a link to a folder. */
export async function openLocalTree(root: string): Promise<LocalTree> {
  await mkdir(root, { recursive: true });
  if (!(await stat(root)).isDirectory()) throw new CliError('not_a_folder', `${root} is not a folder`);
  /** By their paths in the catalog. */
  const folders = new Map<string, string>([['', root]]);
  const ours = createOwnFiles();

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
      // The catalog has the file beside the folder.
      if (ours.isTaken(path)) continue;
      await ours.arrivalAt(path);
      await mkdir(path).catch(ignoreExisting);
      const there = await lstat(path, { bigint: true });
      if (there.isDirectory()) return path;
      if (ours.has(path, there)) continue;
      const what = there.isSymbolicLink() ? 'a symbolic link' : 'not a folder';
      throw new CliError('not_a_folder', `${path} is ${what}: nothing is written through it`);
    }
    throw new Error('there is always another number');
  }

  async function place(name: string): Promise<LocalPlace> {
    const { folders: names, name: last } = splitPath(name);
    const folder = await folderOf(names);
    for (const candidate of candidates(last)) {
      const path = join(folder, candidate);
      if (ours.isTaken(path)) continue;
      await ours.arrivalAt(path);
      const there = await lstat(path, { bigint: true }).catch(() => null);
      if (there === null || !(there.isDirectory() || ours.has(path, there)))
        return { path, there, leave: ours.take(path, there) };
    }
    throw new Error('there is always another number');
  }

  /** One place after the other: each is chosen in view of those before it. */
  let last: Promise<unknown> = Promise.resolve();
  return {
    place(name) {
      const placed = last.then(() => place(name));
      last = placed.catch(() => undefined);
      return placed;
    },
  };
}

/** The files of this run. */
interface OwnFiles {
  /** Whether this very path is that of one, also where that could not be written. */
  isTaken(path: string): boolean;
  /** Whether what is at a path is one of them, under another name that the disk takes for the same. */
  has(path: string, there: BigIntStats): boolean;
  /** Waits for the file on its way to a path that some disk takes for this one. */
  arrivalAt(path: string): Promise<void>;
  /** Gives a file the path. @returns what has to be called at the end. */
  take(path: string, there: BigIntStats | null): () => Promise<void>;
}

function createOwnFiles(): OwnFiles {
  const taken = new Set<string>();
  /** By device and inode, with their paths. */
  const found = new Map<string, Set<string>>();
  const arriving = new Map<string, Promise<void>>();

  function note(path: string, there: BigIntStats): void {
    const mark = markOf(there);
    const paths = found.get(mark) ?? new Set();
    found.set(mark, paths.add(fold(path)));
  }

  return {
    isTaken: (path) => taken.has(path),
    // A file with several hard links has entries that are no other names of one.
    has(path, there) {
      const paths = found.get(markOf(there));
      return paths !== undefined && (there.nlink === 1n || paths.has(fold(path)));
    },
    arrivalAt: async (path) => arriving.get(fold(path)),
    take(path, there) {
      taken.add(path);
      if (there) note(path, there);
      const { promise, resolve } = withResolvers();
      arriving.set(fold(path), promise);
      return async () => {
        const now = await lstat(path, { bigint: true }).catch(() => null);
        if (now) note(path, now);
        arriving.delete(fold(path));
        resolve();
      };
    },
  };
}

/** The name as this disk can have it, and then with numbers. */
function* candidates(name: string): Generator<string> {
  yield safeName(name);
  const [stem, extension] = roomForNumber(name);
  for (let number = 2; ; number++) yield safeName(`${stem} (${number})${extension}`);
}

/** Whole numbers: those of some file systems are beyond what a double tells apart. */
function markOf({ dev, ino }: BigIntStats): string {
  return `${dev} ${ino}`;
}

/** The same for paths that differ in letter case or in the form of Unicode. */
function fold(path: string): string {
  return path.normalize('NFC').toUpperCase().toLowerCase();
}

/** Not in Node 20: `Promise.withResolvers`. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
