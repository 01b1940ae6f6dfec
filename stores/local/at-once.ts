/**
 * Stores a small upload under its final name at once. Its bytes and its digest are known before anything is written, so it
 * needs no unfinished file, and its bytes and its entry are synced at the same time.
 */
import { StoreError } from '../store.ts';
import { translated } from './errors.ts';
import { createNewFile, type LocalFile, removeFile } from './files.ts';
import type { Folder } from './folder.ts';

/** See `Store.storeAtOnce`. */
export async function storeAtOnce(folder: Folder, key: string, chunks: readonly Uint8Array[]): Promise<void> {
  folder.requireMounted();
  const path = folder.path(key);
  let file: LocalFile | undefined;
  let synced: Promise<void> | undefined;
  try {
    await folder.entries.change(key, async () => {
      // As an error of the store: the entry is what it was.
      file = await translated(`creating ${path}`, () => createNewFile(path));
      if (!file) throw new StoreError('occupied', `${path} is there already`);
      await file.write([...chunks], 0);
      // The sync of the folder, which follows, runs at the same time.
      synced = file.sync();
      synced.catch(() => undefined);
    });
    await synced;
  } catch (error) {
    await file?.settled();
    // Nothing refers to the name yet.
    if (file && (await removeFile(path))) await folder.entries.forget(key);
    throw error;
  } finally {
    await file?.close();
  }
}
