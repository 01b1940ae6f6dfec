/** Moves files and folders into another folder, and back where that is undone. */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, isWithin, parentOf, pathOf } from '../../core/listing.ts';
import { renameFile } from './api.ts';
import { moveFolder } from './api-folders.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import type { Deletions } from './file-deleting.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { pathIn } from './names.ts';
import { notify } from './notices.ts';
import { sentenceOfError } from './refusal.ts';

/** Whether an entry can come into a folder: not where it is already, and no folder into itself. */
export function canMove(entry: Entry, folder: string): boolean {
  const path = pathOf(entry);
  return parentOf(path) !== folder && !(entry.kind === 'folder' && isWithin(folder, path));
}

/** The most entries that are moved at once: each is a request of its own, and another one where that is undone. */
export const MOST_MOVED = 1_000;

/** @param goOn - called before each entry, with the number of those before it. @returns false: no more are moved. */
export type Move = (entries: readonly Entry[], folder: string, goOn?: (done: number) => boolean) => Promise<void>;

/** Whether so many entries can be moved at once; else it says how many can. */
export function isFewEnough(count: number): boolean {
  if (count > MOST_MOVED) notify(texts().tooManyToMove(formatCount(MOST_MOVED)));
  return count <= MOST_MOVED;
}

/** Prepares the moves. They are made one after the other: the service makes them so, too. */
export function createMoving(catalog: Catalog, deletions: Pick<Deletions, 'settle'>): Move {
  /** @returns the entry as it is now. */
  async function moveTo(entry: Entry, path: string): Promise<Entry> {
    await deletions.settle(pathOf(entry), path);
    if (entry.kind === 'file') {
      const file = await renameFile(entry.file.id, path);
      catalog.put(file, 'renamed');
      return { ...entry, file };
    }
    const folder = await moveFolder(entry.folder.name, path);
    catalog.moved(entry.folder.name, folder.name);
    return { ...entry, folder };
  }

  async function undo(moved: readonly { entry: Entry; from: string }[]): Promise<void> {
    for (const { entry, from } of moved) {
      try {
        await moveTo(entry, from);
      } catch (error) {
        notify(texts().moveFailed(shownName(lastPart(from)), sentenceOfError(error)));
      }
    }
  }

  return async (entries, folder, goOn = () => true) => {
    const moved: { entry: Entry; from: string }[] = [];
    const failed: { path: string; why: string }[] = [];
    const movable = entries.filter((entry) => canMove(entry, folder));
    for (const [index, entry] of movable.entries()) {
      const from = pathOf(entry);
      if (!goOn(index)) break;
      try {
        moved.push({ entry: await moveTo(entry, pathIn(folder, lastPart(from))), from });
      } catch (error) {
        failed.push({ path: from, why: sentenceOfError(error) });
      }
    }
    const t = texts();
    const [first] = moved;
    if (first) {
      const what = moved.length === 1 ? shownName(lastPart(first.from)) : t.entryCount(formatCount(moved.length));
      const where = folder === '' ? t.allFiles : shownName(folder);
      notify(t.moved(what, where), { label: t.undo, run: () => void undo(moved), onGone: () => undefined });
    }
    const [problem] = failed;
    if (problem && failed.length === 1) notify(t.moveFailed(shownName(lastPart(problem.path)), problem.why));
    else if (problem) notify(t.movesFailed(formatCount(failed.length), problem.why));
  };
}
