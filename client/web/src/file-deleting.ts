/**
 * Deletes files and folders. Where the service has a trash, they are deleted at once, and undoing restores them. Where it has none,
 * they are off the list at once, and deleted at the service once the time to undo is over.
 */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, type FolderEntry, isWithin, pathOf } from '../../core/listing.ts';
import { deleteFile } from './api.ts';
import { deleteFolder } from './api-folders.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { createUndoable, notify } from './notices.ts';
import { createTurns } from './turns.ts';
import { sentenceOfError } from './refusal.ts';
import { createRestoring, type Restorable } from './restoring.ts';
import { trashKeptSeconds } from './trash-state.ts';

/** How many requests are on their way at a time: the time limit of each counts from its beginning. */
const DELETED_AT_ONCE = 4;

export interface Deletions {
  add(...entries: Entry[]): void;
  /** Undoes the deletion of this file, and of a folder that it is in, where it still waits. */
  takeBack(file: { id: string; name: string }): void;
}

/** An entry that is off the list. */
interface Deleting {
  entry: Entry;
  putBack: () => void;
  /** The request, once it is on its way: what it has deleted, null where it failed. */
  sent: Promise<Restorable | null> | null;
}

/** @param focus - moves the focus to the row of an entry that is back on the list. */
export function createDeletions(catalog: Catalog, focus: (key: string) => void): Deletions {
  /** By key: the entries whose deletion can be undone. */
  const deleting = new Map<string, Deleting>();
  const inTurn = createTurns(DELETED_AT_ONCE);
  const restoring = createRestoring(catalog, focus);
  const undoable = createUndoable<string>({
    words: (keys) => wordsFor(keys.flatMap((key) => deleting.get(key)?.entry ?? [])),
    label: () => texts().undo,
    undo: (key) => {
      const one = deleting.get(key);
      deleting.delete(key);
      if (one?.sent) restoring.add(key, one.sent);
      else one?.putBack();
    },
    focus,
    carryOut: (key, isLeaving) => {
      const one = deleting.get(key);
      deleting.delete(key);
      if (!one || one.sent) return;
      // Once the page is left, no turn comes any more.
      if (isLeaving) void send(one);
      else inTurn(() => send(one).then(() => undefined));
    },
  });

  async function send({ entry, putBack }: Deleting): Promise<Restorable | null> {
    try {
      return await (entry.kind === 'file' ? sendFile(entry.file.id) : sendFolder(entry, putBack));
    } catch (error) {
      putBack();
      notify(texts().deleteFailed(nameOf(entry), sentenceOfError(error)));
      return null;
    }
  }

  async function sendFile(id: string): Promise<Restorable> {
    await deleteFile(id).catch(goneAlready);
    catalog.gone(id);
    return { file: id };
  }

  async function sendFolder(entry: FolderEntry, putBack: () => void): Promise<Restorable | null> {
    const deletion = await deleteFolder(entry.folder.name).catch(goneAlready);
    catalog.folderGone(entry);
    return deletion === undefined ? null : { deletion, putBack };
  }

  function add(entry: Entry): void {
    const one: Deleting = { entry, putBack: catalog.take(entry), sent: null };
    deleting.set(entry.key, one);
    if (trashKeptSeconds() === 0) return;
    inTurn(async () => {
      // It was undone, or sent, before its turn came.
      if (deleting.get(entry.key) !== one || one.sent) return;
      one.sent = send(one);
      await one.sent;
    });
  }

  return {
    add: (...entries) => {
      for (const entry of entries) add(entry);
      undoable.add(...entries.map(({ key }) => key));
    },
    takeBack: ({ id, name }) => {
      undoable.takeBack(id);
      // A deletion that is on its way takes only what was there before.
      for (const [key, { entry, sent }] of deleting) {
        if (entry.kind === 'folder' && !sent && isWithin(name, entry.folder.name)) undoable.takeBack(key);
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

/** Somebody else has deleted it before. */
function goneAlready(error: unknown): undefined {
  if ((error as { status?: number }).status !== 404) throw error;
  return undefined;
}
