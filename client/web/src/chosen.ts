/** A file that the user has chosen: it becomes a new item, or it is the file that an item waits for. */
import type { OnConflictJson } from '../../../server/wire/files.ts';
import { type Item, newItem } from './item.ts';
import { acceptableName, pathIn } from './names.ts';
import type { Question } from './question.ts';

export interface Chosen {
  file: File;
  /** The name, with its folders where it has any. */
  path: string;
  /** The path of the folder into which it comes; empty: the top. */
  folder: string;
  /** Where the browser gave one: the way to the file after a reload. */
  handle: FileSystemFileHandle | null;
  /** What becomes of another file that has the name; left out: both are kept. */
  onConflict?: OnConflictJson;
  /** Asks the user for that, where the other file turns out to have other bytes. */
  question?: Question;
}

/** Counts the items since the page was opened. It begins at a million, so that all numbers have the same length. */
let begun = 1e6;

/** The whole path under which the service will keep the file. */
export function wantedPath({ path, folder }: Pick<Chosen, 'path' | 'folder'>): string {
  return acceptableName(pathIn(folder, acceptableName(path)));
}

export function itemOf(chosen: Omit<Chosen, 'handle'>): Item {
  const { file, onConflict = null, question = null } = chosen;
  // The ids sort in the order in which the items were begun: the journal is read in that order.
  const id = [Date.now(), ++begun, crypto.getRandomValues(new Uint32Array(1))[0]].join('-');
  const path = wantedPath(chosen);
  const { size, lastModified } = file;
  return Object.assign(newItem({ id, name: path, path, size, lastModified, file }), { onConflict, question });
}

/** The item that waits for this file; undefined where none does. */
export function waitingFor(chosen: Pick<Chosen, 'file' | 'path' | 'folder'>, items: readonly Item[]): Item | undefined {
  const waiting = items.filter(
    (item) =>
      (item.state === 'interrupted' && item.size === chosen.file.size) ||
      (item.state === 'failed' && item.failure === 'fileChanged'),
  );
  const whole = wantedPath(chosen);
  const wanted = acceptableName(chosen.path);
  const exactly =
    waiting.find((item) => acceptableName(item.path) === whole) ??
    waiting.find((item) => acceptableName(item.path) === wanted);
  if (exactly) return exactly;
  // The file was sent into another folder, or came in one, and the user has chosen it again by itself.
  const likely = waiting.filter((item) => acceptableName(item.path).endsWith(`/${wanted}`));
  return likely.length === 1 ? likely[0] : undefined;
}
