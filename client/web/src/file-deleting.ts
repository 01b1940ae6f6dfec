/**
 * Deletes files and folders: takes them off the list at once, and deletes them at the service once the time to undo is over.
 */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, isWithin, pathOf } from '../../core/listing.ts';
import { deleteFile } from './api.ts';
import { deleteFolder } from './api-folders.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { createUndoable, notify } from './notices.ts';
import { createTurns } from './turns.ts';
import { sentenceOfError } from './refusal.ts';

/** How many requests are on their way at a time: the time limit of each counts from its beginning. */
const DELETED_AT_ONCE = 4;

export interface Deletions {
  add(...entries: Entry[]): void;
  /** Undoes the deletion of this file, and of a folder that it is in, where it still waits. */
  takeBack(file: { id: string; name: string }): void;
}

/** @param focus - moves the focus to the row of an entry that is back on the list. */
export function createDeletions(catalog: Catalog, focus: (key: string) => void): Deletions {
  /** By key: what is off the list, but still at the service. */
  const deleting = new Map<string, { entry: Entry; putBack: () => void }>();
  const inTurn = createTurns(DELETED_AT_ONCE);
  const undoable = createUndoable<string>({
    words: (keys) => wordsFor(keys.flatMap((key) => deleting.get(key)?.entry ?? [])),
    label: () => texts().undo,
    undo: (key) => {
      const { putBack } = deleting.get(key) ?? {};
      deleting.delete(key);
      putBack?.();
    },
    focus,
    carryOut: (key, isLeaving) => {
      // Once the page is left, no turn comes any more.
      if (isLeaving) void carryOut(key);
      else inTurn(() => carryOut(key));
    },
  });

  async function carryOut(key: string): Promise<void> {
    const waiting = deleting.get(key);
    deleting.delete(key);
    if (!waiting) return;
    const { entry, putBack } = waiting;
    const gone = (): void => (entry.kind === 'file' ? catalog.gone(entry.file.id) : catalog.folderGone(entry));
    try {
      await (entry.kind === 'file' ? deleteFile(entry.file.id) : deleteFolder(entry.folder.name));
      gone();
    } catch (error) {
      if ((error as { status?: number }).status === 404) return gone();
      putBack();
      notify(texts().deleteFailed(nameOf(entry), sentenceOfError(error)));
    }
  }

  return {
    add: (...entries) => {
      for (const entry of entries) deleting.set(entry.key, { entry, putBack: catalog.take(entry) });
      undoable.add(...entries.map(({ key }) => key));
    },
    takeBack: ({ id, name }) => {
      undoable.takeBack(id);
      for (const [key, { entry }] of deleting) {
        if (entry.kind === 'folder' && isWithin(name, entry.folder.name)) undoable.takeBack(key);
      }
    },
  };
}

function nameOf(entry: Entry): string {
  return shownName(lastPart(pathOf(entry)));
}

function wordsFor(entries: readonly Entry[]): string {
  const t = texts();
  if (entries.length === 1 || entries.every(({ kind }) => kind === 'file')) return t.deleted(entries.map(nameOf));
  return t.entriesDeleted(formatCount(entries.length));
}
