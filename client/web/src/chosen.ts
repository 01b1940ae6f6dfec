/** A file that the user has chosen: it becomes a new item, or it is the file that an item waits for. */
import { type Item, newItem } from './item.ts';
import { acceptableName, acceptablePath } from './names.ts';

export interface Chosen {
  file: File;
  /** The name, with its folders where it has any. */
  path: string;
  /** Where the browser gave one: the way to the file after a reload. */
  handle: FileSystemFileHandle | null;
}

/** Counts the items since the page was opened. It begins at a million, so that all numbers have the same length. */
let begun = 1e6;

export function itemOf({ file, path }: Pick<Chosen, 'file' | 'path'>): Item {
  // The ids sort in the order in which the items were begun: the journal is read in that order.
  const id = [Date.now(), ++begun, crypto.getRandomValues(new Uint32Array(1))[0]].join('-');
  return newItem({
    id,
    name: acceptableName(file.name),
    path: acceptablePath(path),
    size: file.size,
    lastModified: file.lastModified,
    file,
  });
}

/** The item that waits for this file; undefined where none does. */
export function waitingFor({ file, path }: Chosen, items: readonly Item[]): Item | undefined {
  const waiting = items.filter(
    (item) =>
      (item.state === 'interrupted' && item.size === file.size) ||
      (item.state === 'failed' && item.failure === 'fileChanged'),
  );
  const wanted = acceptablePath(path);
  const exactly = waiting.find((item) => acceptablePath(item.path) === wanted);
  if (exactly) return exactly;
  // The file came in a folder, and the user has chosen it again by itself.
  const likely = waiting.filter((item) => acceptablePath(item.path).endsWith(`/${wanted}`));
  return likely.length === 1 ? likely[0] : undefined;
}
