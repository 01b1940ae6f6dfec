/**
 * Deletes files and folders. Where the service has a trash, they are deleted at once, and undoing restores them. Where it has none,
 * they are off the list at once, and deleted at the service once the time to undo is over.
 */
import { type Entry, isWithin, pathOf } from '../../core/listing.ts';
import type { Catalog } from './catalog.ts';
import { createDeletionRequests, nameOf } from './deletion-requests.ts';
import { formatCount } from './format.ts';
import { texts } from './i18n.ts';
import { createUndoable } from './notices.ts';
import { createTurns } from './turns.ts';
import { createRestoring, type Restorable } from './restoring.ts';
import { trashKeptSeconds } from './trash-state.ts';

/** How many requests are on their way at a time: the time limit of each counts from its beginning. */
const DELETED_AT_ONCE = 4;

export interface Deletions {
  add(...entries: Entry[]): void;
  /** Undoes the deletion of this file, and of a folder that it is in, where it still waits. */
  takeBack(file: { id: string; name: string }): void;
  /**
   * To be awaited before something moves. A deletion of a folder that it comes into, or out of, is undone where it still waits. Those
   * of what goes with it, or has its new name, are carried out: afterwards they would miss, or stand in the way.
   */
  settle(from: string, to: string): Promise<void>;
}

/** An entry that is off the list. */
interface Deleting {
  entry: Entry;
  putBack: () => void;
  /** The request, once it is on its way: what it has deleted; null: nothing, or what cannot be restored. */
  sent: Promise<Restorable | null> | null;
}

/** @param focus - moves the focus to the row of an entry that is back on the list. */
export function createDeletions(catalog: Catalog, focus: (key: string) => void): Deletions {
  /** By key: the entries whose deletion can be undone. */
  const deleting = new Map<string, Deleting>();
  /** All that are neither answered nor undone. */
  const open = new Set<Deleting>();
  const inTurn = createTurns(DELETED_AT_ONCE);
  const request = createDeletionRequests(catalog);
  const restoring = createRestoring(catalog, focus);
  const undoable = createUndoable<string>({
    words: (keys) => wordsFor(keys.flatMap((key) => deleting.get(key)?.entry ?? [])),
    label: () => texts().undo,
    undo: (key) => {
      const one = deleting.get(key);
      if (one?.sent) {
        deleting.delete(key);
        restoring.add(key, one.sent);
      } else if (one) giveUp(one);
    },
    focus,
    carryOut: (key, isLeaving) => {
      const one = deleting.get(key);
      deleting.delete(key);
      if (!one || one.sent) return;
      // Once the page is left, no turn comes any more.
      if (isLeaving) void send(one);
      else sendInTurn(one);
    },
  });

  function sendInTurn(one: Deleting): void {
    // It may have been undone, or sent, before its turn comes.
    inTurn(async () => void (open.has(one) && !one.sent && (await send(one))));
  }

  function send(one: Deleting): Promise<Restorable | null> {
    one.sent ??= request(one).finally(() => open.delete(one));
    return one.sent;
  }

  /** Undoes what was not sent. */
  function giveUp(one: Deleting): void {
    deleting.delete(one.entry.key);
    open.delete(one);
    one.putBack();
  }

  function add(entry: Entry): void {
    const one: Deleting = { entry, putBack: catalog.take(entry), sent: null };
    deleting.set(entry.key, one);
    open.add(one);
    if (trashKeptSeconds() > 0) sendInTurn(one);
  }

  /** Where it still waits, it is undone; what is on its way is awaited, as it takes only what was there before. */
  async function undoOne(one: Deleting): Promise<void> {
    if (one.sent) return void (await one.sent);
    undoable.forget(one.entry.key);
    giveUp(one);
  }

  async function carryOutNow(one: Deleting): Promise<void> {
    // Where there is a trash, it can be undone afterwards, too.
    if (trashKeptSeconds() === 0) {
      undoable.forget(one.entry.key);
      deleting.delete(one.entry.key);
    }
    await send(one);
  }

  return {
    settle: (from, to) =>
      settleAll(open, { undo: undoOne, carryOut: carryOutNow }, ({ entry }) => beforeMove(entry, from, to)),
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

/** Does something with each, one after the other. */
async function settleAll<What extends string>(
  all: Iterable<Deleting>,
  run: Record<What, (one: Deleting) => Promise<void>>,
  whatFor: (one: Deleting) => What | 'nothing',
): Promise<void> {
  for (const one of all) {
    const what = whatFor(one);
    if (what !== 'nothing') await run[what](one);
  }
}

/** What becomes of the deletion of an entry before something moves. */
function beforeMove(entry: Entry, from: string, to: string): 'undo' | 'carryOut' | 'nothing' {
  const path = pathOf(entry);
  const isFolder = entry.kind === 'folder';
  const holds = (other: string): boolean => other !== path && isWithin(other, path);
  if (isFolder && (holds(to) || holds(from))) return 'undo';
  return isWithin(path, to) || (isFolder && isWithin(path, from)) ? 'carryOut' : 'nothing';
}

function wordsFor(entries: readonly Entry[]): string {
  const t = texts();
  if (entries.length === 1 || entries.every(({ kind }) => kind === 'file')) return t.deleted(entries.map(nameOf));
  return t.entriesDeleted(formatCount(entries.length));
}
