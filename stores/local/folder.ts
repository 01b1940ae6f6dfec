/** The folder of a store, as its steps need it. */
import { join } from 'node:path';
import { StoreError } from '../store.ts';
import { identityOf, sizeOf } from './files.ts';
import { MARK, requirePlainName, UNFINISHED } from './names.ts';
import { createEntries, type Entries } from './entries.ts';
import { createFolderSync, type FolderSync } from './sync.ts';

export interface Folder {
  readonly directory: string;
  readonly sync: FolderSync;
  /** By name. */
  readonly entries: Entries;
  /** Where the file with a name is. @throws StoreError `missing` for a name that is not plain. */
  path(name: string): string;
  /** Where an upload's unfinished bytes are. */
  unfinished(id: string): string;
  /** From now on, another folder in its place, or none, is a disk that is not mounted. */
  identify(): void;
  /** @throws StoreError `unavailable` when the folder is not the one that was opened: what it lacks is not lost. */
  requireHere(): void;
  /**
   * Before bytes are stored: under the place of a disk that is not mounted they would be out of sight once it is.
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
      // Some file systems number a folder anew while it is in use.
      if (identityOf(directory) !== identity && sizeOf(join(directory, MARK)) === undefined) throw notHere();
    },
  };
}
