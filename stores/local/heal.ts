/** Putting a file in the place of another, whole at every moment. */
import { copyFile, rename } from 'node:fs/promises';
import { createFile, linkFile, openFile, removeFile } from './files.ts';

/**
 * Gives the bytes of `from` the name `to` as well, whatever has that name now. Streams that
 * are open on it keep what they have. The folder is still to be synced.
 *
 * @param from - null for an empty file.
 * @param spare - a name for the time between; what a crash left under it is removed first.
 * @throws the file system's error: ENOENT when `from` is gone.
 */
export async function replaceFile(from: string | null, to: string, spare: string): Promise<void> {
  await removeFile(spare);
  if (from === null) await (await createFile(spare)).close();
  else if ((await linkFile(from, spare)) !== 'linked') await copySynced(from, spare);
  await rename(spare, to);
  // Of two names of one file rename(2) leaves both.
  await removeFile(spare);
}

/** In place of a link, where there are none. */
async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const copy = openFile(to);
  try {
    await copy.sync();
  } finally {
    await copy.close();
  }
}
