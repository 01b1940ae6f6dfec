/** One entry at a time is renamed, in its row: a file, or a folder with all below it. */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, parentOf, pathOf } from '../../core/listing.ts';
import { renameFile } from './api.ts';
import { moveFolder } from './api-folders.ts';
import type { Catalog } from './catalog.ts';
import type { Deletions } from './file-deleting.ts';
import { startRenaming } from './file-renaming.ts';
import { pathIn } from './names.ts';

export function createEntryRenaming(
  catalog: Catalog,
  deletions: Pick<Deletions, 'settle'>,
  rowOf: (entry: Entry) => HTMLLIElement | undefined,
): { begin: (entry: Entry) => void; isRunning: (entry: Entry) => boolean } {
  let renaming: string | null = null;

  async function rename(entry: Entry, name: string): Promise<void> {
    const path = pathIn(parentOf(pathOf(entry)), name);
    await deletions.settle(pathOf(entry), path);
    if (entry.kind === 'file') {
      catalog.put(await renameFile(entry.file.id, path), 'renamed');
      return;
    }
    const { name: moved } = await moveFolder(entry.folder.name, path);
    catalog.moved(entry.folder.name, moved);
  }

  return {
    isRunning: ({ key }) => renaming === key,
    begin: (entry) => {
      const row = rowOf(entry);
      if (!row) return;
      renaming = entry.key;
      const named = {
        name: lastPart(pathOf(entry)),
        isFolder: entry.kind === 'folder',
        rename: (name: string) => rename(entry, name),
      };
      startRenaming(row, named, () => {
        if (renaming === entry.key) renaming = null;
      });
    },
  };
}
