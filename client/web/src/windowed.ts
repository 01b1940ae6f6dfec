/** A list of rows of one height, but for a few lower ones, of which only those in sight are in the document: 100,000 entries stay fluent. */

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

export interface WindowedParts<T> {
  list: HTMLUListElement;
  items: () => readonly T[];
  keyOf: (item: T) => string;
  make: (item: T) => HTMLLIElement;
  update: (row: HTMLLIElement, item: T) => void;
  /** Which are lower; there are few of them. */
  isLow?: (item: T) => boolean;
  /** The last entries are nearly in sight. */
  onNearEnd?: () => void;
}

const OVERSCAN = 8;

export function createWindowed<T>(parts: WindowedParts<T>): Windowed<T> {
  const { list } = parts;
  const rows = new Map<string, { row: HTMLLIElement; index: number }>();
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

  /** Where each row begins, and after the last one the end of the list. */
  function createTops(items: readonly T[]): (index: number) => number {
    const height = rowHeight();
    const { isLow } = parts;
    if (!isLow) return (index) => index * height;
    const lows = items.flatMap((item, index) => (isLow(item) ? [index] : []));
    const less = height - rowHeight('--low-row');
    return (index) => index * height - lows.filter((low) => low < index).length * less;
  }

  function draw(): void {
    const items = parts.items();
    const height = rowHeight();
    const topOf = createTops(items);
    list.style.height = `${topOf(items.length)}px`;
    // By how many rows of the usual height an entry may stand higher than its place.
    const higher = Math.ceil((items.length * height - topOf(items.length)) / height);
    if (items.length === 0 || list.offsetParent === null) {
      for (const { row } of rows.values()) row.remove();
      rows.clear();
      if (items.length === 0) return;
    }
    const { top } = list.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-top / height) - OVERSCAN);
    const last = Math.min(items.length - 1, Math.ceil((window.innerHeight - top) / height) + higher + OVERSCAN);
    const wanted = new Map<string, number>();
    for (let index = first; index <= last; index++) {
      const item = items[index];
      if (item) wanted.set(parts.keyOf(item), index);
    }
    const updateAll = isStale;
    isStale = false;
    const focused = document.activeElement;
    /** Where the row with the focus stood, if it goes. */
    let left: number | null = null;
    for (const [key, { row, index: was }] of rows) {
      if (wanted.has(key)) continue;
      // What has the focus stays, or the keyboard would be lost in the page.
      const index = row.contains(focused) ? items.findIndex((item) => parts.keyOf(item) === key) : -1;
      if (index >= 0) wanted.set(key, index);
      else {
        if (row.contains(focused)) left = was;
        row.remove();
        rows.delete(key);
      }
    }
    let before: HTMLLIElement | null = null;
    for (const [key, index] of [...wanted].sort((a, b) => a[1] - b[1])) {
      const item = items[index];
      if (!item) continue;
      const known = rows.get(key);
      const row: HTMLLIElement = known?.row ?? parts.make(item);
      rows.set(key, { row, index });
      row.style.transform = `translateY(${topOf(index)}px)`;
      row.ariaPosInSet = String(index + 1);
      row.ariaSetSize = String(items.length);
      if (!known || updateAll) parts.update(row, item);
      const next: ChildNode | null = before ? before.nextSibling : list.firstChild;
      // In the order of the entries, for the keyboard.
      if (row !== next) list.insertBefore(row, next);
      before = row;
    }
    keepFocus(focused, left);
    if (last >= items.length - 1 - OVERSCAN * 4) parts.onNearEnd?.();
  }

  /** A row that was moved has lost the focus; the place of one that is gone passes it on. */
  function keepFocus(focused: Element | null, left: number | null): void {
    if (document.activeElement === focused) return;
    if (left === null) {
      if (focused instanceof HTMLElement && list.contains(focused)) focused.focus({ preventScroll: true });
      return;
    }
    const index = Math.min(left, parts.items().length - 1);
    const next = [...rows.values()].find((each) => each.index === index);
    next?.row.querySelector<HTMLElement>('button:not([hidden])')?.focus({ preventScroll: true });
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
      const known = rows.get(parts.keyOf(item));
      if (known) parts.update(known.row, item);
    },
    inserted: (index) => {
      const height = rowHeight();
      const { top } = list.getBoundingClientRect();
      list.style.height = `${parts.items().length * height}px`;
      if (top + index * height < 0) window.scrollBy(0, height);
      isStale = true;
      schedule();
    },
    rowOf: (item) => rows.get(parts.keyOf(item))?.row,
  };
}
