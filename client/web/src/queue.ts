/**
 * The queue: when each file is hashed and sent; which ones wait, resume or fail. The table of states is
 * core/upload-states.ts, and sender.ts sends one file.
 */
import { onAccepted } from './access.ts';
import { type Chosen } from './chosen.ts';
import { type Item } from './item.ts';
import { openNotebook } from './notebook.ts';
import { createRestorer, type Restorer } from './restore.ts';
import { createSender } from './sender.ts';
import {
  type Desk,
  change,
  step,
  pump,
  stall,
  wake,
  fail,
  finish,
  add,
  continueWith,
  pause,
  resume,
  retry,
  resumeKept,
  cancel,
  remove,
  type QueueEvents,
} from './queue-steps.ts';

export interface Queue {
  readonly items: readonly Item[];
  /** Resolves when the uploads from earlier visits to the page are listed. */
  readonly restored: Promise<void>;
  /** Adds files. A file that was chosen before resumes where it stopped. */
  add(chosen: readonly Chosen[]): void;
  pause(item: Item): void;
  resume(item: Item): void;
  /** @returns false when its file has to be chosen again. */
  retry(item: Item): Promise<boolean>;
  /** Removes the item, and ends its upload at the service, unless another client needs that upload. */
  cancel(item: Item): void;
  /**
   * Resumes with the file that the browser has kept, after asking the user for permission.
   *
   * @returns false when its file has to be chosen again.
   */
  resumeKept(item: Item): Promise<boolean>;
  /** Removes finished items. */
  clear(): void;
  /** Bytes sent since the page was opened. */
  bytesMoved(): number;
}

export function createQueue(events: QueueEvents, limit: () => number | null): Queue {
  const items: Item[] = [];
  const send = createSender({
    change: (item, changes) => change(desk, item, changes),
    step: (item, name, changes) => step(desk, item, name, changes),
    note: (item) => desk.notebook.note(item),
    moved: (item, bytes) => {
      desk.bytesMoved += bytes;
      desk.notebook.noteSoon(item);
    },
    finish: (item, result, state) => finish(desk, item, result, state),
    fail: (item, failure, message) => fail(desk, item, failure, message),
    stall: (item, reason, waitMs) => stall(desk, item, reason, waitMs),
    wait: (item, name) => {
      step(desk, item, name);
      pump(desk);
    },
    findLeft: (url) => items.find((item) => item.state === 'interrupted' && item.url === url),
    letGo: (item) => remove(desk, item),
  });
  const desk: Desk = { items, notebook: openNotebook(), events, limit, send, bytesMoved: 0 };
  const restorer = createRestorer({
    items,
    change: (item, changes) => change(desk, item, changes),
    finish: (item, result, state) => finish(desk, item, result, state),
    resume: (item, kept) => {
      continueWith(desk, item, kept);
      pump(desk);
    },
    onList: () => events.onList(),
  });
  wakeWhenThereIsReason(desk, restorer);
  return {
    items,
    restored: restorer.restore(),
    add: (chosen) => add(desk, chosen),
    pause: (item) => pause(desk, item),
    resume: (item) => resume(desk, item),
    retry: (item) => retry(desk, item),
    cancel: (item) => cancel(desk, item),
    resumeKept: (item) => resumeKept(desk, item),
    clear: () => {
      for (const item of items.filter(({ result }) => result !== null)) remove(desk, item);
    },
    bytesMoved: () => desk.bytesMoved,
  };
}

/** Wakes items that wait for the connection when it is back, and those that wait for a token when one was accepted. */
function wakeWhenThereIsReason(desk: Desk, restorer: Restorer): void {
  const { items } = desk;
  for (const reason of ['online', 'pageshow'] as const) {
    window.addEventListener(reason, () => {
      for (const item of items) if (item.stall === 'lostLine') wake(desk, item);
    });
  }
  onAccepted(() => {
    for (const item of items) {
      if (item.stall === 'needsToken') wake(desk, item);
      else if (item.state === 'interrupted') void restorer.revive(item);
    }
  });
}
