/** Recovers an upload whose file may have a second name: its final one, or one in a copy of the folder (`cp -al`). */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { withDescriptor } from '../descriptors.ts';
import type { DigestPool } from '../digests/digests.ts';
import { type Commit, StoreError, type StoredUpload } from '../store.ts';
import { isSameFile, linkFile, type LocalFile, openFile, removeFile, replaceByCopy, sizeOf } from './files.ts';
import type { Folder } from './folder.ts';
import { FINAL, UNFINISHED } from './names.ts';
import { recoverFile, recoverLinked } from './recover.ts';

/** Finds out what of an upload is durably stored; see `Store.recoverUpload`. */
export async function recoverUpload(
  folder: Folder,
  upload: StoredUpload,
  bootId: string | null,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Commit | null> {
  const path = folder.unfinished(upload.id);
  if (sizeOf(path) === undefined) {
    // Without a committed byte there may be no file yet. With all bytes the file may be final already: `finalize` finds out.
    if (upload.offset === 0 || upload.offset === upload.size) return null;
    folder.requireHere();
    throw new StoreError('missing', `upload ${upload.id}: its file is gone`);
  }
  const linked = await recoverFinal(folder, upload, bootId, digests, signal);
  if (linked !== undefined) return linked;
  if (upload.offset === 0) {
    // No byte was committed, so no client knows of any. The entry may never have been synced: the next write creates a new one.
    await removeFile(path);
    return null;
  }
  const file = await withDescriptor(() => openOwn(folder, upload));
  try {
    return await recoverFile(file, upload, bootId, digests, signal);
  } finally {
    await file.close();
  }
}

/** Recovers an upload whose file has its final name, too. @returns undefined where it has not. */
async function recoverFinal(
  folder: Folder,
  upload: StoredUpload,
  bootId: string | null,
  digests: DigestPool,
  signal: AbortSignal,
): Promise<Commit | null | undefined> {
  const file = openFile(folder.unfinished(upload.id));
  async function isFinal(md5: string): Promise<boolean> {
    const final = await findFinal(folder, upload.id, md5);
    // The first commit follows, so the entry has to be durable; but its sync may have failed, also in an earlier process.
    if (final !== undefined && upload.offset === 0) await renewOwn(folder, upload.id, final);
    return final !== undefined;
  }
  try {
    if (file.links() === 1) return undefined;
    return await recoverLinked(file, upload, bootId, digests, isFinal, signal);
  } finally {
    await file.close();
  }
}

/** Finds the final name, with this MD5 and any variant and extension, that the upload's file has. */
async function findFinal(folder: Folder, id: string, md5: string): Promise<string | undefined> {
  for await (const { name } of await opendir(folder.directory)) {
    if (name.startsWith(md5) && FINAL.test(name) && isSameFile(folder.unfinished(id), folder.path(name))) return name;
  }
  return undefined;
}

/** Replaces the upload's own entry, and makes it durable. */
async function renewOwn(folder: Folder, id: string, final: string): Promise<void> {
  const failures = folder.sync.failures();
  const path = folder.unfinished(id);
  await removeFile(path);
  const outcome = await linkFile(folder.path(final), path);
  if (outcome !== 'linked') throw new StoreError('unavailable', `upload ${id}: its file cannot be linked: ${outcome}`);
  await folder.sync(failures);
}

/**
 * Opens an upload's file to change it. A file that has another name, too, must not change, as that name is final or in a
 * copy of the folder (`cp -al`): then the upload gets a copy of its own.
 */
export async function openOwn(folder: Folder, upload: StoredUpload): Promise<LocalFile> {
  const path = folder.unfinished(upload.id);
  const name = UNFINISHED + upload.id;
  const file = openFile(path);
  if (file.links() === 1 && !folder.entries.isUnsettled(name)) return file;
  await file.close();
  const copy = join(folder.directory, `.copy-${upload.id}`);
  await folder.entries.replace(name, () => replaceByCopy(path, copy, upload.offset));
  return openFile(path);
}
