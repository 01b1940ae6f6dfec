/** Deletes files: takes them off the list at once, and deletes them at the service once the time to undo is over. */
import type { FileJson } from '../../../server/wire/files.ts';
import { deleteFile } from './api.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { createUndoable, notify } from './notices.ts';
import { createTurns } from './turns.ts';
import { sentenceOfError } from './refusal.ts';

/** How many requests are on their way at a time: the time limit of each counts from its beginning. */
const DELETED_AT_ONCE = 4;

export interface Deletions {
  add(...files: FileJson[]): void;
  /** Undoes the deletion of this file, where it still waits. */
  takeBack(id: string): void;
}

/** @param focus - moves the focus to the row of a file that is back on the list. */
export function createDeletions(catalog: Catalog, focus: (id: string) => void): Deletions {
  /** By id: the files that are off the list, but still at the service. */
  const deleting = new Map<string, { file: FileJson; putBack: () => void }>();
  const inTurn = createTurns(DELETED_AT_ONCE);
  const undoable = createUndoable<string>({
    words: (ids) => texts().deleted(ids.map((id) => shownName(deleting.get(id)?.file.name ?? ''))),
    label: () => texts().undo,
    undo: (id) => {
      const { putBack } = deleting.get(id) ?? {};
      deleting.delete(id);
      putBack?.();
    },
    focus,
    carryOut: (id, isLeaving) => {
      // Once the page is left, no turn comes any more.
      if (isLeaving) void carryOut(id);
      else inTurn(() => carryOut(id));
    },
  });

  async function carryOut(id: string): Promise<void> {
    const { file, putBack } = deleting.get(id) ?? {};
    deleting.delete(id);
    try {
      await deleteFile(id);
      catalog.gone(id);
    } catch (error) {
      if ((error as { status?: number }).status === 404) return catalog.gone(id);
      putBack?.();
      notify(texts().deleteFailed(shownName(file?.name ?? ''), sentenceOfError(error)));
    }
  }

  return {
    add: (...files) => {
      for (const file of files) deleting.set(file.id, { file, putBack: catalog.take(file.id) });
      undoable.add(...files.map(({ id }) => id));
    },
    takeBack: (id) => undoable.takeBack(id),
  };
}
