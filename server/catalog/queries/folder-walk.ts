/** Goes through the folders below one, each before those in it, by their names. A place on the way can be written as a cursor. */
import { MAX_FOLDERS } from '../../wire/paths.ts';
import { invalidCursor } from '../cursor.ts';
import type { createListFolders, FolderPosition } from './list-folder.ts';

/** The folders from below the first one down to the one that is looked at; none: the first one itself. */
export type Way = FolderPosition[];

/** Prepares the step to the folder that comes after a way: the first one in it, else the next one beside or above it. */
export function prepareNextWay(listFolders: ReturnType<typeof createListFolders>) {
  /** Undefined after the last folder. A folder of the way may be gone. */
  return async function nextWay(owner: string, root: number, way: Way): Promise<Way | undefined> {
    const folderAt = (depth: number): number => way[depth - 1]?.id ?? root;
    for (let depth = way.length; depth >= 0; depth--) {
      const level = { owner, folderId: folderAt(depth), path: undefined };
      const [next] = await listFolders(level, 'asc', way[depth], 1);
      if (next) return [...way.slice(0, depth), { value: next.folded, id: next.id }];
    }
    return undefined;
  };
}

/** A way as it is written in a cursor. */
export function writeWay(way: Way): unknown {
  return way.map(({ value, id }) => [value, id]);
}

/** Reads what `writeWay` wrote. @throws CatalogError `invalid_cursor`. */
export function readWay(written: unknown): Way {
  if (!Array.isArray(written) || written.length > MAX_FOLDERS) throw invalidCursor('it is not one of this service');
  return written.map((each: unknown) => {
    const [value, id]: unknown[] = Array.isArray(each) ? each : [];
    if (typeof value !== 'string' || !Number.isSafeInteger(id)) throw invalidCursor('it is not one of this service');
    return { value, id: id as number };
  });
}
