/** A list that keeps only the rows in sight in the document, so that 100,000 entries scroll smoothly. */
import { type Layout, layOut, OVERSCAN } from './in-sight.ts';
import { createRows, type RowParts } from './rows.ts';

export interface Windowed<T> {
  /** The entries have changed, or the rows' texts. */
  refresh(): void;
  /** One entry has changed; nothing happens where it is out of sight. */
  refreshItem(item: T): void;
  /** An entry was inserted. If it is above what is in sight, the page scrolls by its height, so that nothing jumps. */
  inserted(index: number): void;
  /** Scrolls an entry into sight where it is not (null: the page stays), and calls `then` once the rows in sight are drawn. */
  reveal(index: number | null, then: () => void): void;
  /** The row of an entry, where it is in sight. */
  rowOf(item: T | undefined): HTMLLIElement | undefined;
}

export interface WindowedParts<T> extends RowParts<T> {
  items: () => readonly T[];
  /** Whether an entry has a lower row; few may have. */
  isLow?: (item: T) => boolean;
  /** The last entries are nearly in sight. */
  onNearEnd?: () => void;
}

export function createWindowed<T>(parts: WindowedParts<T>): Windowed<T> {
  const { list } = parts;
  const rows = createRows(parts);
  let scheduled = false;
  /** Whether the content of the rows may have changed, not just the scroll position. */
  let isStale = true;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  }

  /** Row height in pixels: the style sheet sets it, by the width of the screen. */
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
  // The list also moves when something above it appears or disappears.
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
    reveal: (index, then) => {
      isStale = true;
      draw();
      if (index !== null)
        scrollIntoSight(list.getBoundingClientRect().top + measure(parts.items()).topOf(index), rowHeight());
      draw();
      then();
    },
    rowOf: (item) => (item === undefined ? undefined : rows.of(item)),
  };
}

/** @param top - of a row, in pixels from the upper edge of the window. */
function scrollIntoSight(top: number, height: number): void {
  if (top < 0 || top + height > window.innerHeight) window.scrollBy(0, top - window.innerHeight / 3);
}
