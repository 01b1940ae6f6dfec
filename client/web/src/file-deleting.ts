/**
 * Deletes files. Where the service has a trash, they are deleted at once, and undoing restores them. Where it has none, they are off
 * the list at once, and deleted at the service once the time to undo is over.
 */
import type { FileJson } from '../../../server/wire/files.ts';
import { deleteFile } from './api.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { createUndoable, notify } from './notices.ts';
import { createTurns } from './turns.ts';
import { sentenceOfError } from './refusal.ts';
import { createRestoring } from './restoring.ts';
import { trashKeptSeconds } from './trash-state.ts';

/** How many requests are on their way at a time: the time limit of each counts from its beginning. */
const DELETED_AT_ONCE = 4;

export interface Deletions {
  add(...files: FileJson[]): void;
  /** Undoes the deletion of this file, where it still waits. */
  takeBack(id: string): void;
}

/** A file that is off the list. */
interface Deleting {
  file: FileJson;
  putBack: () => void;
  /** The request, once it is on its way; false where it failed. */
  sent: Promise<boolean> | null;
}

/** @param focus - moves the focus to the row of a file that is back on the list. */
export function createDeletions(catalog: Catalog, focus: (id: string) => void): Deletions {
  /** By id: the files whose deletion can be undone. */
  const deleting = new Map<string, Deleting>();
  const inTurn = createTurns(DELETED_AT_ONCE);
  const restoring = createRestoring(catalog, focus);
  const undoable = createUndoable<string>({
    words: (ids) => texts().deleted(ids.map((id) => shownName(deleting.get(id)?.file.name ?? ''))),
    label: () => texts().undo,
    undo: (id) => {
      const one = deleting.get(id);
      deleting.delete(id);
      if (one?.sent) restoring.add(one.file, one.sent);
      else one?.putBack();
    },
    focus,
    carryOut: (id, isLeaving) => {
      const one = deleting.get(id);
      deleting.delete(id);
      if (!one || one.sent) return;
      // Once the page is left, no turn comes any more.
      if (isLeaving) void send(one);
      else inTurn(() => send(one).then(() => undefined));
    },
  });

  async function send({ file, putBack }: Deleting): Promise<boolean> {
    try {
      await deleteFile(file.id);
      catalog.gone(file.id);
      return true;
    } catch (error) {
      if ((error as { status?: number }).status === 404) {
        catalog.gone(file.id);
        return true;
      }
      putBack();
      notify(texts().deleteFailed(shownName(file.name), sentenceOfError(error)));
      return false;
    }
  }

  function add(file: FileJson): void {
    const one: Deleting = { file, putBack: catalog.take(file.id), sent: null };
    deleting.set(file.id, one);
    if (trashKeptSeconds() === 0) return;
    inTurn(async () => {
      // It was undone, or sent, before its turn came.
      if (deleting.get(file.id) !== one || one.sent) return;
      one.sent = send(one);
      await one.sent;
    });
  }

  return {
    add: (...files) => {
      for (const file of files) add(file);
      undoable.add(...files.map(({ id }) => id));
    },
    takeBack: (id) => undoable.takeBack(id),
  };
}
