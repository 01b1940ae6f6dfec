/** Putting a file in the place of another, whole at every moment. */
import { copyFile, rename } from 'node:fs/promises';
import { StoreError, type StoredUpload } from '../store.ts';
import { isFsError } from './errors.ts';
import { createFile, linkFile, openFile, removeFile, sizeOf } from './files.ts';
import type { Folder } from './folder.ts';

/** Puts an upload's bytes in the place of those that a content has lost; see `Store.heal`. */
export async function healContent(folder: Folder, upload: StoredUpload, key: string): Promise<void> {
  const unfinished = folder.unfinished(upload.id);
  const from = upload.offset === 0 ? null : unfinished;
  const damaged = folder.path(key);
  await folder.entries.replace(key, async () => {
    try {
      // The temporary name begins as those of unfinished uploads do: a job removes what a crash leaves of it.
      await replaceFile(from, damaged, `${unfinished}-heal`);
    } catch (error) {
      // A job removed it at that moment, as left by a crash. The upload's own bytes are there.
      if (!isFsError(error, 'ENOENT') || from === null || sizeOf(from) === undefined) throw error;
      throw new StoreError('unavailable', `healing ${key}: the file between is gone`, error);
    }
  });
}

/**
 * Gives the bytes of `from` the name `to` as well, whatever has that name now. Streams that
 * are open on it keep what they have. The folder is still to be synced.
 *
 * @param from - null for an empty file.
 * @param spare - a name for the time between; what a crash left under it is removed first.
 * @throws the file system's error: ENOENT when `from` is gone.
 */
async function replaceFile(from: string | null, to: string, spare: string): Promise<void> {
  await removeFile(spare);
  if (from === null) await (await createFile(spare)).close();
  else if ((await linkFile(from, spare)) !== 'linked') await copySynced(from, spare);
  await rename(spare, to);
  // Of two names of one file rename(2) leaves both.
  await removeFile(spare);
}

/** In place of a link, where the file system has none. */
async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const copy = openFile(to);
  try {
    await copy.sync();
  } finally {
    await copy.close();
  }
}
