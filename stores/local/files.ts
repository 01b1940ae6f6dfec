/**
 * File calls of the local store. Calls that only use the kernel's tables and caches (open, stat, close) run on the main
 * thread: passing one to another thread and back costs several times the call. Calls that may wait for the disk or the
 * file system's journal (create, write, sync, link, rename) run on libuv's threads. See
 * docs/decisions/0007-small-file-calls.md.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fsync,
  fstatSync,
  ftruncateSync,
  link,
  open,
  openSync,
  read,
  rename,
  statSync,
  unlink,
  writev,
} from 'node:fs';
import { promisify } from 'node:util';
import { afterBytes } from '../chunks.ts';
import { withDescriptor } from '../descriptors.ts';
import { createDirectWrites, type DirectWrites, nextWrite } from './direct.ts';
import { isFsError, isSystemError } from './errors.ts';

const openAsync = promisify(open);
const readAsync = promisify(read);
const writevAsync = promisify(writev);
const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);
const linkAsync = promisify(link);
const renameAsync = promisify(rename);
const unlinkAsync = promisify(unlink);

/**
 * The most syncs, and writes past the page cache, that run at once. libuv has four threads by default: if all of them waited for
 * the disk, no other upload could write to the page cache meanwhile, and no query could begin.
 */
const WAITS_AT_ONCE = 3;
const COPY_BYTES = 1024 * 1024;
const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** An open file. All errors are the file system's. */
export interface LocalFile {
  size(): number;
  /** How many names the file has. */
  links(): number;
  /** Writes all chunks, from a position on. @returns how many bytes. */
  write(chunks: readonly Uint8Array[], position: number): Promise<number>;
  read(buffer: Uint8Array, length: number, position: number): Promise<number>;
  /** Resolves when what was written before the call survives a power cut. */
  sync(): Promise<void>;
  /** Cuts off all bytes after `size`. */
  truncate(size: number): void;
  /** Resolves when no call is running, whether the calls succeeded or failed. */
  settled(): Promise<void>;
  /** Closes the file when no call is running: the number of a closed descriptor may be another file's at once. */
  close(): Promise<void>;
}

/** Opens an existing file. @throws the file system's error. */
export function openFile(path: string): LocalFile {
  return localFile(openSync(path, 'r+'), path);
}

/**
 * Creates a file, which may wait for the file system's journal. An existing file loses this name, and keeps its bytes under
 * any other name. So the entry is always a new one, which the next sync of the folder makes durable.
 */
export async function createFile(path: string): Promise<LocalFile> {
  for (;;) {
    const file = await createNewFile(path);
    if (file) return file;
    await removeFile(path);
  }
}

/** Creates a file as `createFile` does. @returns undefined where the name is taken. */
export async function createNewFile(path: string): Promise<LocalFile | undefined> {
  try {
    return localFile(await withDescriptor(() => openAsync(path, NEW_FILE, 0o600)), path);
  } catch (error) {
    if (isFsError(error, 'EEXIST')) return undefined;
    throw error;
  }
}

/** Removes a file. @returns whether there was one. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlinkAsync(path);
    return true;
  } catch (error) {
    if (!isFsError(error, 'ENOENT')) throw error;
    return false;
  }
}

/**
 * Keeps a file's bytes when its last name goes. `release` returns at once: the kernel frees them beside the caller, also where
 * the process ends.
 *
 * @returns undefined where it cannot be opened.
 */
export function keepFile(path: string): { release(): void } | undefined {
  try {
    const fd = openSync(path, 'r');
    return { release: () => close(fd) };
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** Whether both names lead to the same file. */
export function isSameFile(a: string, b: string): boolean {
  const [first, second] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev;
}

/**
 * Replaces the file at `path` by a copy of it, or of its first bytes. The old file keeps its other names. At every moment
 * `path` has one of the two.
 *
 * @param copy - a temporary name for the copy.
 * @param bytes - how many bytes to copy; by default all.
 */
export async function replaceByCopy(path: string, copy: string, bytes?: number): Promise<void> {
  const from = openFile(path);
  try {
    const to = await createFile(copy);
    try {
      await copyBytes(from, to, bytes ?? from.size());
      await to.sync();
      await renameAsync(copy, path);
    } catch (error) {
      await removeFile(copy);
      throw error;
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function copyBytes(from: LocalFile, to: LocalFile, bytes: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let at = 0; at < bytes;) {
    const taken = await from.read(buffer, Math.min(buffer.length, bytes - at), at);
    if (taken === 0) throw new Error(`a file ends at ${at}, before ${bytes}`);
    await to.write([buffer.subarray(0, taken)], at);
    at += taken;
  }
}

function localFile(fd: number, path: string): LocalFile {
  const direct = createDirectWrites(fd, path);
  const underWay = new Set<Promise<unknown>>();

  function track<T>(operation: Promise<T>): Promise<T> {
    underWay.add(operation);
    return operation.finally(() => underWay.delete(operation));
  }

  async function settled(): Promise<void> {
    await Promise.allSettled(underWay);
  }

  return {
    size: () => fstatSync(fd).size,
    links: () => fstatSync(fd).nlink,
    write: (chunks, position) => track(writeAll(fd, chunks, position, direct)),
    read: async (buffer, length, position) => (await track(readAsync(fd, buffer, 0, length, position))).bytesRead,
    sync: () => track(inTurn(() => fdatasyncAsync(fd))),
    truncate: (size) => {
      ftruncateSync(fd, size);
    },
    settled,
    close: async () => {
      if (underWay.size > 0) await settled();
      direct.close();
      closeSync(fd);
    },
  };
}

/**
 * After a failed sync: cuts off the bytes that it was to sync. The kernel reports lost writes only once and then treats
 * their pages as clean, so a later sync would succeed over bytes that were never stored.
 */
export async function cutUnsynced(file: LocalFile, syncedTo: number): Promise<void> {
  await file.settled();
  if (file.size() > syncedTo) file.truncate(syncedTo);
}

/** Size of a file; undefined when there is none. */
export function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

/** Identifies the folder to which a path leads; undefined when there is none. */
export function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** The error codes of file systems without hard links (exFAT, some network drives); see link(2). */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Gives a file a second name. */
export async function linkFile(from: string, to: string): Promise<'linked' | 'taken' | 'unsupported'> {
  try {
    await linkAsync(from, to);
    return 'linked';
  } catch (error) {
    if (isFsError(error, 'EEXIST')) return 'taken';
    if (isSystemError(error) && NO_LINKS.has(error.code ?? '')) return 'unsupported';
    throw error;
  }
}

/**
 * Gives a file a second name; where the file system has no links, renames it.
 *
 * @param beforeMoving - called before a rename: what has to be done before the first name is lost.
 * @returns false when that name is taken.
 */
export async function linkOrRename(from: string, to: string, beforeMoving: () => Promise<void>): Promise<boolean> {
  const outcome = await linkFile(from, to);
  if (outcome !== 'unsupported') return outcome === 'linked';
  if (sizeOf(to) !== undefined) return false;
  await beforeMoving();
  await renameAsync(from, to);
  return true;
}

/**
 * Replaces an existing entry by a new one for the same bytes. A failed sync of the folder may have been for the old entry:
 * the kernel reports that only once, so a later sync would prove nothing about it.
 *
 * @param from - the upload's own name for the bytes; missing where the file was renamed to `to`.
 */
export async function renewEntry(from: string, to: string, beforeMoving: () => Promise<void>): Promise<void> {
  if (sizeOf(from) === undefined) {
    await renameAsync(to, from);
    await renameAsync(from, to);
    return;
  }
  await removeFile(to);
  if (!(await linkOrRename(from, to, beforeMoving))) throw new Error(`${to} is there again`);
}

/** Resolves when every entry that was created, renamed or removed in the folder before the call survives a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const fd = await withDescriptor(() => openSync(path, 'r'));
  try {
    await fsyncAsync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes until all is written: a single write may write only a part, on a full disk for example. */
async function writeAll(
  fd: number,
  chunks: readonly Uint8Array[],
  position: number,
  direct: DirectWrites,
): Promise<number> {
  let left = chunks;
  let done = 0;
  while (left.length > 0) {
    const next = direct.isOff ? { chunks: left, isDirect: false } : nextWrite(left, position + done);
    const past = next.isDirect ? await inTurn(() => direct.write(next.chunks, position + done)) : undefined;
    const written = past ?? (await writevAsync(fd, next.chunks, position + done)).bytesWritten;
    if (written === 0) throw new Error('the file system takes no bytes, and says nothing');
    done += written;
    left = afterBytes(left, written);
  }
  return done;
}

let waitingForDisk = 0;
const inLine: (() => void)[] = [];

async function inTurn<T>(action: () => Promise<T>): Promise<T> {
  if (waitingForDisk >= WAITS_AT_ONCE) await new Promise<void>((resolve) => inLine.push(resolve));
  else waitingForDisk++;
  try {
    return await action();
  } finally {
    // The caller that has waited longest is next.
    const next = inLine.shift();
    if (next) next();
    else waitingForDisk--;
  }
}
