/** Uploads that were cancelled a moment ago: off the list, and ended only once nobody has undone that. */
import { endUpload } from './api.ts';
import type { Chosen } from './chosen.ts';
import { shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { isUnderWay, type Item } from './item.ts';
import { createUndoable } from './notices.ts';
import type { Queue } from './queue.ts';
import { isOursToEnd } from '../../core/claims.ts';

export interface Cancelling {
  /** Whether the item is off the list. */
  has(item: Item): boolean;
  /** Sends nothing from now on, and keeps what was sent until it can no longer be undone. */
  putAside(item: Item): void;
  /** The item has changed; a cancelled one that is done or under way again belongs on the list. */
  onChange(item: Item): void;
  /** Of what is chosen, what was cancelled a moment ago resumes. @returns the rest. */
  takeBack(chosen: readonly Chosen[]): Chosen[];
}

export function createCancelling(parts: {
  queue: () => Queue;
  redraw: () => void;
  /** Moves the focus to the item's row. */
  focus: (item: Item) => void;
}): Cancelling {
  const { queue, redraw } = parts;
  /** By item: whether it was under way. */
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
      // Uppy's own request would not outlive the page.
      if (isLeaving && item.url !== null && !item.result && isOursToEnd(item)) {
        void endUpload(item.url).catch(() => undefined);
      }
      queue().cancel(item);
    },
  });

  function isMeant(item: Item, { file, path }: Chosen): boolean {
    if (item.state !== 'paused' || item.path !== path) return false;
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
