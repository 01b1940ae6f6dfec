/** The list of uploads in the page: a row for each, and a summary. */
import { byId, shownName } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import { isUnderWay, type Item } from './item.ts';
import { announce, notify } from './notices.ts';
import type { Chosen } from './chosen.ts';
import type { Queue } from './queue.ts';
import { createRate } from './rate.ts';
import { createCancelling } from './upload-cancelling.ts';
import { createEntries, updateFold } from './upload-entries.ts';
import type { Entry } from './upload-groups.ts';
import { canRetry, makeRow, type RowActions, updateRow } from './upload-row.ts';
import { createSummary } from './upload-summary.ts';
import { failureOf } from './upload-words.ts';
import { createWindowed, type Windowed } from './windowed.ts';

export interface UploadsView {
  onChange(item: Item): void;
  onList(): void;
  onOver(item: Item): void;
  /** Resumes the cancelled uploads whose files the user has chosen again. @returns the other files. */
  takeBack(chosen: readonly Chosen[]): Chosen[];
}

export type UploadsActions = Omit<RowActions, 'putAside'>;

export function createUploadsView(actions: UploadsActions): UploadsView {
  const { queue } = actions;
  const showSummary = createSummary();
  const speed = watchSpeed(queue, updateSummary);
  const cancelling = createCancelling({ queue, redraw, focus: (item) => focusRow(rows, item) });
  const rowActions: RowActions = { ...actions, putAside: (item) => cancelling.putAside(item) };
  const present = (): Item[] => queue().items.filter((item) => !cancelling.has(item));
  const entries = createEntries(present, redraw);
  const rows = createWindowed<Entry>({
    list: byId<HTMLUListElement>('upload-list'),
    items: () => entries.all(),
    keyOf: (entry) => entry.key,
    isLow: (entry) => entry.kind === 'fold',
    make: (entry) => (entry.kind === 'item' ? makeRow(entry.item, rowActions) : entries.makeFold(entry.group)),
    update: (row, entry) => (entry.kind === 'item' ? updateRow(row, entry.item, rowActions) : updateFold(row, entry)),
  });
  let isDue = false;

  /** Draws the list again, at most once a frame. */
  function redraw(): void {
    entries.reset();
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      updateSummary();
    });
    rows.refresh();
  }

  function updateSummary(): void {
    showSummary(present(), speed());
  }

  listenToButtons(queue, present);
  onLanguage(redraw);
  return {
    onChange: (item) => {
      cancelling.onChange(item);
      if (entries.isInPlace(item)) rows.refreshItem({ kind: 'item', key: item.id, item });
      else redraw();
    },
    onList: redraw,
    onOver: (item) => {
      announceEnd(item, actions.limit());
      updateSummary();
    },
    takeBack: (chosen) => cancelling.takeBack(chosen),
  };
}

function announceEnd(item: Item, limit: number | null): void {
  const t = texts();
  const name = shownName(item.path);
  if (item.state === 'failed') announce(t.hasFailed(name, failureOf(item, limit)));
  else announce(item.state === 'instant' ? t.isInstant(name) : t.isDone(name));
}

function focusRow(rows: Windowed<Entry>, item: Item): void {
  const row = rows.rowOf({ kind: 'item', key: item.id, item });
  row?.querySelector<HTMLButtonElement>('button:not([hidden])')?.focus({ preventScroll: true });
}

/** The buttons for all uploads, and the question before the page is left. */
function listenToButtons(queue: () => Queue, present: () => Item[]): void {
  byId('retry-all').addEventListener('click', () => void retryAll(queue(), present()));
  byId('pause-all').addEventListener('click', () => present().forEach((item) => queue().pause(item)));
  byId('resume-all').addEventListener('click', () => present().forEach((item) => queue().resume(item)));
  byId('clear').addEventListener('click', () => queue().clear());
  window.addEventListener('beforeunload', (event) => {
    if (present().some(isUnderWay)) event.preventDefault();
  });
}

async function retryAll(queue: Queue, items: readonly Item[]): Promise<void> {
  const retried = await Promise.all(items.filter(canRetry).map((item) => queue.retry(item)));
  const lost = retried.filter((isRetried) => !isRetried).length;
  if (lost > 0) notify(texts().needFile(lost));
}

/** Measures the rate each second. @returns bytes per second; null while nothing is sent or too little is known. */
function watchSpeed(queue: () => Queue, onTick: () => void): () => number | null {
  const rate = createRate();
  let speed: number | null = null;
  setInterval(() => {
    const { items } = queue();
    if (items.some((item) => item.state === 'sending')) speed = rate.update(queue().bytesMoved());
    else {
      rate.reset();
      speed = null;
    }
    if (items.length > 0) onTick();
  }, 1_000);
  return () => speed;
}
