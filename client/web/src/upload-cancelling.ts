/** Uploads that the user has just cancelled: they are off the list, and end once the time to undo is over. */
import { endUpload } from './api.ts';
import { type Chosen, wantedPath } from './chosen.ts';
import { shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { isUnderWay, type Item, uploadsOf } from './item.ts';
import { createUndoable } from './notices.ts';
import type { Queue } from './queue.ts';
import { isOursToEnd } from '../../core/claims.ts';

export interface Cancelling {
  /** Whether the item is cancelled and can still be undone. */
  has(item: Item): boolean;
  /** Takes the item off the list and pauses it. The service keeps what was sent until the time to undo is over. */
  putAside(item: Item): void;
  /** The item has changed. A cancelled one that is done or under way again returns to the list. */
  onChange(item: Item): void;
  /** Resumes the cancelled uploads whose files the user has chosen again. @returns the other files. */
  takeBack(chosen: readonly Chosen[]): Chosen[];
}

export function createCancelling(parts: {
  queue: () => Queue;
  redraw: () => void;
  /** Moves the focus to the item's row. */
  focus: (item: Item) => void;
}): Cancelling {
  const { queue, redraw } = parts;
  /** The cancelled items: whether each was under way. */
  const aside = new Map<Item, boolean>();
  const undoable = createUndoable<Item>({
    words: (items) => texts().cancelled(items.map((item) => shownName(item.path))),
    label: () => texts().undo,
    undo: (item) => {
      const wasRunning = aside.get(item) === true;
      aside.delete(item);
      if (wasRunning) queue().resume(item);
      redraw();
    },
    focus: parts.focus,
    carryOut: (item, isLeaving) => {
      aside.delete(item);
      // Unlike Uppy's own request, this one outlives the page.
      if (isLeaving && !item.result && isOursToEnd(item)) {
        for (const url of uploadsOf(item)) void endUpload(url).catch(() => undefined);
      }
      queue().cancel(item);
    },
  });

  function isMeant(item: Item, chosen: Chosen): boolean {
    const { file } = chosen;
    if (item.state !== 'paused' || item.path !== wantedPath(chosen)) return false;
    return item.size === file.size && item.lastModified === file.lastModified;
  }

  return {
    has: (item) => aside.has(item),
    putAside: (item) => {
      aside.set(item, isUnderWay(item) && item.state !== 'paused');
      queue().pause(item);
      undoable.add(item);
      redraw();
    },
    onChange: (item) => {
      if (aside.has(item) && !['paused', 'interrupted', 'failed'].includes(item.state)) undoable.takeBack(item);
    },
    takeBack: (chosen) =>
      chosen.filter((one) => {
        const same = [...aside.keys()].find((item) => isMeant(item, one));
        if (!same) return true;
        undoable.takeBack(same);
        queue().resume(same);
        return false;
      }),
  };
}
