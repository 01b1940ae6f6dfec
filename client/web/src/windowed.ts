/** A list of rows of one height, but for a few lower ones, of which only those in sight are in the document: 100,000 entries stay fluent. */
import { type Layout, layOut, OVERSCAN } from './in-sight.ts';
import { createRows, type RowParts } from './rows.ts';

export interface Windowed<T> {
  /** The entries have changed, or the rows' texts. */
  refresh(): void;
  /** One entry has changed; nothing happens where it is out of sight. */
  refreshItem(item: T): void;
  /** Where entries are put in before what is in sight, the page scrolls along: nothing jumps. */
  inserted(index: number): void;
  /** The row of an entry, where it is in sight. */
  rowOf(item: T): HTMLLIElement | undefined;
}

export interface WindowedParts<T> extends RowParts<T> {
  items: () => readonly T[];
  /** Which are lower; there are few of them. */
  isLow?: (item: T) => boolean;
  /** The last entries are nearly in sight. */
  onNearEnd?: () => void;
}

export function createWindowed<T>(parts: WindowedParts<T>): Windowed<T> {
  const { list } = parts;
  const rows = createRows(parts);
  let scheduled = false;
  /** What the rows show may have changed; mere scrolling leaves them as they are. */
  let isStale = true;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  }

  /** Set in the style sheet, by the width of the screen. */
  function rowHeight(property: '--row' | '--low-row' = '--row'): number {
    return Number.parseFloat(getComputedStyle(list).getPropertyValue(property));
  }

  function measure(items: readonly T[]): Layout {
    const usual = rowHeight();
    const { isLow } = parts;
    if (!isLow) return layOut(items.length, [], { usual, low: usual });
    const lows = items.flatMap((item, index) => (isLow(item) ? [index] : []));
    return layOut(items.length, lows, { usual, low: rowHeight('--low-row') });
  }

  function draw(): void {
    const items = parts.items();
    const { height, topOf, inSight } = measure(items);
    list.style.height = `${height}px`;
    if (items.length === 0 || list.offsetParent === null) {
      rows.clear();
      if (items.length === 0) return;
    }
    const span = inSight(list.getBoundingClientRect().top, window.innerHeight);
    const updateAll = isStale;
    isStale = false;
    rows.show(items, span, topOf, updateAll);
    if (span.last >= items.length - 1 - OVERSCAN * 4) parts.onNearEnd?.();
  }

  window.addEventListener('scroll', schedule, { passive: true });
  window.addEventListener('resize', schedule);
  // What comes and goes above the list moves it.
  new ResizeObserver(schedule).observe(document.body);
  return {
    refresh: () => {
      isStale = true;
      schedule();
    },
    refreshItem: (item) => {
      const row = rows.of(item);
      if (row) parts.update(row, item);
    },
    inserted: (index) => {
      const height = rowHeight();
      const { top } = list.getBoundingClientRect();
      list.style.height = `${parts.items().length * height}px`;
      if (top + index * height < 0) window.scrollBy(0, height);
      isStale = true;
      schedule();
    },
    rowOf: (item) => rows.of(item),
  };
}
