/** The rows of a list that are in the document: kept in the order of the entries, and the focus with them. */
import type { Layout } from './in-sight.ts';

export interface RowParts<T> {
  list: HTMLUListElement;
  keyOf: (item: T) => string;
  make: (item: T) => HTMLLIElement;
  update: (row: HTMLLIElement, item: T) => void;
}

export interface Rows<T> {
  /** The row of an entry, where it has one. */
  of(item: T): HTMLLIElement | undefined;
  clear(): void;
  /**
   * Draws rows for these entries, and keeps the row that has the focus; removes all others.
   *
   * @param updateAll - update all rows, not only new ones.
   */
  show(items: readonly T[], span: ReturnType<Layout['inSight']>, topOf: Layout['topOf'], updateAll: boolean): void;
}

export function createRows<T>(parts: RowParts<T>): Rows<T> {
  const { list, keyOf } = parts;
  const rows = new Map<string, { row: HTMLLIElement; index: number }>();

  /** Removes rows that are not wanted. @returns the index of the row that had the focus, if it was removed. */
  function removeOthers(items: readonly T[], wanted: Map<string, number>, focused: Element | null): number | null {
    let left: number | null = null;
    for (const [key, { row, index: was }] of rows) {
      if (wanted.has(key)) continue;
      // A row with the focus stays out of sight: without it, keyboard users would lose their place.
      const index = row.contains(focused) ? items.findIndex((item) => keyOf(item) === key) : -1;
      if (index >= 0) wanted.set(key, index);
      else {
        if (row.contains(focused)) left = was;
        row.remove();
        rows.delete(key);
      }
    }
    return left;
  }

  /** Puts the row of an entry in its place. @returns the row. */
  function place(item: T, index: number, before: HTMLLIElement | null, updateAll: boolean): HTMLLIElement {
    const known = rows.get(keyOf(item));
    const row = known?.row ?? parts.make(item);
    rows.set(keyOf(item), { row, index });
    row.ariaPosInSet = String(index + 1);
    if (!known || updateAll) parts.update(row, item);
    const next = before ? before.nextSibling : list.firstChild;
    // In the order of the entries, for keyboard navigation.
    if (row !== next) list.insertBefore(row, next);
    return row;
  }

  /** Restores the focus: to its row, which loses it when it is moved, or to the row in the place of one that is gone. */
  function keepFocus(focused: Element | null, left: number | null, count: number): void {
    if (document.activeElement === focused) return;
    if (left === null) {
      if (focused instanceof HTMLElement && list.contains(focused)) focused.focus({ preventScroll: true });
      return;
    }
    const index = Math.min(left, count - 1);
    const next = [...rows.values()].find((each) => each.index === index);
    next?.row.querySelector<HTMLElement>('button:not([hidden])')?.focus({ preventScroll: true });
  }

  return {
    of: (item) => rows.get(keyOf(item))?.row,
    clear: () => {
      for (const { row } of rows.values()) row.remove();
      rows.clear();
    },
    show: (items, { first, last }, topOf, updateAll) => {
      const inSight = items.slice(first, last + 1);
      const wanted = new Map(inSight.map((item, at) => [keyOf(item), first + at]));
      const focused = document.activeElement;
      const left = removeOthers(items, wanted, focused);
      let before: HTMLLIElement | null = null;
      for (const [, index] of [...wanted].sort((a, b) => a[1] - b[1])) {
        const item = items[index];
        if (item === undefined) continue;
        before = place(item, index, before, updateAll);
        before.style.transform = `translateY(${topOf(index)}px)`;
        before.ariaSetSize = String(items.length);
      }
      keepFocus(focused, left, items.length);
    },
  };
}
