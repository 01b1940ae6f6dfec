/** The folder of a local store. */
import { join } from 'node:path';
import { StoreError } from '../store.ts';
import { identityOf, sizeOf } from './files.ts';
import { MARK, requirePlainName, UNFINISHED } from './names.ts';
import { createEntries, type Entries } from './entries.ts';
import { createFolderSync, type FolderSync } from './sync.ts';

export interface Folder {
  readonly directory: string;
  readonly sync: FolderSync;
  readonly entries: Entries;
  /** The path of the file with this name. @throws StoreError `missing` for a name that is not plain. */
  path(name: string): string;
  /** The path of an upload's unfinished bytes. */
  unfinished(id: string): string;
  /** Remembers which folder this is. If there is another one at its path later, or none, its disk is not mounted. */
  identify(): void;
  /**
   * To be called before missing files are reported as lost.
   *
   * @throws StoreError `unavailable` when the folder is not the one that was opened.
   */
  requireHere(): void;
  /**
   * To be called before bytes are stored: while the disk is not mounted, they would be stored under its mount point, and
   * hidden once it is mounted.
   *
   * @throws StoreError `unavailable` when the folder is not the one that was opened, and has no mark.
   */
  requireMounted(): void;
}

/** Returns the folder at a path. */
export function createFolder(directory: string): Folder {
  let identity = '';
  const sync = createFolderSync(directory);

  function path(name: string): string {
    requirePlainName(name);
    return join(directory, name);
  }

  function notHere(): StoreError {
    return new StoreError('unavailable', `${directory} is not the folder that was opened: is its disk mounted?`);
  }

  return {
    directory,
    sync,
    entries: createEntries(directory, sync),
    path,
    unfinished: (id) => path(UNFINISHED + id),
    identify: () => {
      identity = identityOf(directory) ?? '';
    },
    requireHere: () => {
      if (identityOf(directory) !== identity) throw notHere();
    },
    requireMounted: () => {
      // Some file systems change a folder's inode number while it is in use: then its mark shows that it is the right one.
      if (identityOf(directory) !== identity && sizeOf(join(directory, MARK)) === undefined) throw notHere();
    },
  };
}
