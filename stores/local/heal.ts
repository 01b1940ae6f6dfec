/** Puts a file in the place of another one, so that its name has one of them at every moment. */
import { copyFile, rename } from 'node:fs/promises';
import { StoreError, type StoredUpload } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';
import { isFsError } from './errors.ts';
import { createFile, keepFile, linkFile, openFile, removeFile, sizeOf } from './files.ts';
import type { Folder } from './folder.ts';

/** The kernel frees so many bytes within a sync. */
const FREED_AT_ONCE_BYTES = 16 * 1024 * 1024;
/** By then an upload that was folded into equal bytes has its answer: the syncs before it would wait until the old bytes are freed. */
const FREED_AFTER_MS = 1_000;

/** Puts an upload's bytes in the place of a content's; see `Store.heal` and `Store.assure`. */
export async function healContent(
  folder: Folder,
  upload: StoredUpload,
  key: string,
  surroundings: Pick<Surroundings, 'setTimeout'>,
): Promise<void> {
  const unfinished = folder.unfinished(upload.id);
  const from = upload.offset === 0 ? null : unfinished;
  const damaged = folder.path(key);
  // The last name of a large file takes long to remove: a gigabyte 400 ms on ext4.
  const replaced = keepFile(damaged);
  try {
    await replace(folder, { from, unfinished, damaged }, key);
  } finally {
    if (upload.offset <= FREED_AT_ONCE_BYTES) replaced?.release();
    else surroundings.setTimeout(() => replaced?.release(), FREED_AFTER_MS).unref();
  }
}

function replace(
  folder: Folder,
  { from, unfinished, damaged }: { from: string | null; unfinished: string; damaged: string },
  key: string,
): Promise<void> {
  return folder.entries.replace(key, async () => {
    try {
      // The temporary name has the prefix of unfinished uploads: so a job removes what a crash leaves of it.
      await replaceFile(from, damaged, `${unfinished}-heal`);
    } catch (error) {
      // The job removed it at this moment, as if a crash had left it. The upload's own bytes exist: a retry will succeed.
      if (!isFsError(error, 'ENOENT') || from === null || sizeOf(from) === undefined) throw error;
      throw new StoreError('unavailable', `healing ${key}: the file between is gone`, error);
    }
  });
}

/**
 * Gives the file `from` the second name `to`, and replaces the file that has it now. Open streams keep the old file. The
 * caller has to sync the folder.
 *
 * @param from - null for an empty file.
 * @param spare - a temporary name; what a crash left under it is removed first.
 * @throws the file system's error: ENOENT when `from` is gone.
 */
async function replaceFile(from: string | null, to: string, spare: string): Promise<void> {
  await removeFile(spare);
  if (from === null) await (await createFile(spare)).close();
  else if ((await linkFile(from, spare)) !== 'linked') await copySynced(from, spare);
  await rename(spare, to);
  // Where both names are already of the same file, rename(2) does nothing and keeps both.
  await removeFile(spare);
}

/** Copies and syncs a file, where the file system has no hard links. */
async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const copy = openFile(to);
  try {
    await copy.sync();
  } finally {
    await copy.close();
  }
}
