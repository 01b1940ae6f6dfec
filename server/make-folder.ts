/** Creates folders that survive a power cut. */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError } from '../stores/store.ts';

/** For each error code, why a folder cannot be created; see mkdir(2). */
const NO_FOLDER: Record<string, string> = {
  EEXIST: 'it is a file',
  ENOTDIR: 'a part of its path is a file',
  EACCES: 'there is no permission to make it',
  EROFS: 'its file system is read-only',
  // Node's code in place of EROFS when it creates several folders at once.
  ENOENT: 'it is not there and cannot be made; its file system may be read-only',
  ENOSPC: 'its disk is full',
};

/**
 * Creates a folder and the missing parts of its path, and syncs the entries of all of them.
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
 * Syncs the parent folders. Also existing ones, because a start that was killed may have created them without syncing them;
 * but of these not those that cannot be read, nor those on another file system.
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
