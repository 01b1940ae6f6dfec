/** Gives a published file the name of the chosen one, where its upload was begun under another name. */
import type { FileJson } from '../../../server/wire/files.ts';
import { type Begun, giveName as giveNameBy, isRenameRefusal } from '../../core/naming.ts';
import { isGone, isMethodRefusal } from '../../core/refusals.ts';
import { ApiError, check, deleteFile, renameFile } from './api.ts';
import { namedAs } from './compare.ts';
import type { Item } from './item.ts';

/** As `giveName` of core/naming.ts, for the page's service. */
export function giveName(
  file: FileJson,
  item: Pick<Item, 'name' | 'onConflict'>,
  begun: Begun | null,
): Promise<FileJson | null> {
  return giveNameBy(file, item.name, begun, {
    rename: (id, newName) =>
      renameFile(id, newName).catch((error: unknown) => {
        if (error instanceof ApiError && isRenameRefusal(error)) return null;
        throw error;
      }),
    checkAs: (filename) => check(file, namedAs({ ...item, name: filename })),
    ...(item.onConflict === 'replace' ? { remove: removeFile } : {}),
  });
}

/** Where it is gone already, or something on the way blocks DELETE, there are two. */
async function removeFile(id: string): Promise<void> {
  await deleteFile(id).catch((error: unknown) => {
    if (!(error instanceof ApiError) || !(isGone(error) || isMethodRefusal('DELETE', error.status))) throw error;
  });
}
