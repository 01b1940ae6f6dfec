/** What was chosen: a new item, or the file that an item waits for. */
import { type Item, newItem } from './item.ts';
import { acceptableName, acceptablePath } from './names.ts';

export interface Chosen {
  file: File;
  /** With its folders. */
  path: string;
  handle: FileSystemFileHandle | null;
}

/** How many, since the page was opened. */
let begun = 1e6;

export function itemOf({ file, path }: Pick<Chosen, 'file' | 'path'>): Item {
  // In the order in which they were begun, for the journal.
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

/** The item whose file this is, where one waits for its file. */
export function waitingFor({ file, path }: Chosen, items: readonly Item[]): Item | undefined {
  const waiting = items.filter(
    (item) =>
      (item.state === 'interrupted' && item.size === file.size) ||
      (item.state === 'failed' && item.failure === 'fileChanged'),
  );
  const wanted = acceptablePath(path);
  const exactly = waiting.find((item) => acceptablePath(item.path) === wanted);
  if (exactly) return exactly;
  // Of a folder, and chosen again by itself.
  const likely = waiting.filter((item) => acceptablePath(item.path).endsWith(`/${wanted}`));
  return likely.length === 1 ? likely[0] : undefined;
}
