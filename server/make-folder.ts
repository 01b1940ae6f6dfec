/** Folders that survive a power cut. */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError } from '../stores/store.ts';

/** Why a folder cannot be made, in plain words; see mkdir(2). */
const NO_FOLDER: Record<string, string> = {
  EEXIST: 'it is a file',
  ENOTDIR: 'a part of its path is a file',
  EACCES: 'there is no permission to make it',
  EROFS: 'its file system is read-only',
  // What Node makes of EROFS when it makes several folders at once.
  ENOENT: 'it is not there and cannot be made; its file system may be read-only',
  ENOSPC: 'its disk is full',
};

/**
 * Makes a folder and what is missing of its path, and has the names of all of them synced.
 *
 * @throws StoreError `unavailable`.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    const firstMade = await mkdir(path, { recursive: true });
    await syncPath(path, firstMade);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new StoreError('unavailable', `the folder ${path} cannot be used: ${NO_FOLDER[code] ?? message}`, error);
  }
}

/**
 * Syncs the folders above. Those that were there, too: a start that was killed may have made them
 * and not synced them. Only what cannot be read is passed over there, and another file system's.
 */
async function syncPath(path: string, firstMade: string | undefined): Promise<void> {
  const { dev } = await stat(path);
  let made = firstMade !== undefined;
  for (let child = path, parent = dirname(path); parent !== child; child = parent, parent = dirname(parent)) {
    try {
      if ((await stat(parent)).dev !== dev && !made) return;
      const folder = await open(parent, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    } catch (error) {
      if (made || (error as NodeJS.ErrnoException).code === 'EIO') throw error;
    }
    if (child === firstMade) made = false;
  }
}
