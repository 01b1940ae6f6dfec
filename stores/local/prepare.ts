/** Prepares the folder before the first upload: removes leftovers of a killed process, and finds out what the folder can do. */
import { open, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { withDescriptor } from '../descriptors.ts';
import { StoreError } from '../store.ts';
import { translated } from './errors.ts';
import { createFile, linkFile, removeFile, syncFolder } from './files.ts';
import type { Folder } from './folder.ts';
import { LITTER, UNSETTLED } from './names.ts';

/**
 * Removes what a killed process left. To be called once, before the first upload.
 *
 * @returns whether the folder has hard links.
 * @throws StoreError `unavailable` when it cannot be written.
 */
export async function prepareFolder(folder: Folder): Promise<boolean> {
  const { directory } = folder;
  folder.identify();
  for await (const { name } of await opendir(directory)) {
    if (LITTER.test(name)) await removeFile(join(directory, name));
    if (name.startsWith(UNSETTLED)) folder.entries.markUnsettled(name.slice(UNSETTLED.length));
  }
  // Makes durable what a process had changed when it was killed.
  await syncFolder(directory);
  try {
    await probeFolder(directory);
    return await translated(`linking in ${directory}`, () => tryLinks(directory));
  } catch (error) {
    // On a full disk the store opens, too: its contents can be read, and removed to make room.
    if (!(error instanceof StoreError && error.code === 'full')) throw error;
    return false;
  }
}

/** Writes a file and removes it. @throws StoreError. */
export async function probeFolder(directory: string): Promise<void> {
  await translated(`writing to ${directory}`, async () => {
    const path = join(directory, `.probe-${process.pid}`);
    const file = await withDescriptor(() => open(path, 'w', 0o600));
    try {
      await file.write('tidemark');
    } finally {
      await file.close();
      await removeFile(path);
    }
  });
}

async function tryLinks(directory: string): Promise<boolean> {
  const path = join(directory, `.links-${process.pid}`);
  const other = `${path}-other`;
  await removeFile(other);
  await (await createFile(path)).close();
  const hasLinks = (await linkFile(path, other)) === 'linked';
  await removeFile(path);
  await removeFile(other);
  return hasLinks;
}
