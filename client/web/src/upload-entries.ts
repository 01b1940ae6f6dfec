/** The entries of the list of uploads, and which of its groups are expanded. */
import { make, setText } from './dom.ts';
import { texts } from './i18n.ts';
import type { Item } from './item.ts';
import { arrange, type Entry, type Fold, type Group, groupOf } from './upload-groups.ts';

export interface Entries {
  /** The entries, which are computed anew after `reset`. */
  all(): readonly Entry[];
  /** Items were added or removed, or moved to another group. */
  reset(): void;
  /** Whether an item is still in the group in which it is listed. */
  isInPlace(item: Item): boolean;
  makeFold(group: Group): HTMLLIElement;
}

/**
 * @param present - returns the items to list.
 * @param onToggle - called when a group was expanded or collapsed.
 */
export function createEntries(present: () => readonly Item[], onToggle: () => void): Entries {
  /** Number of the batch in which an item was added: files that are chosen together are one batch. */
  const batches = new WeakMap<Item, number>();
  let latestBatch = 0;
  const groups = new WeakMap<Item, Group>();
  const open = new Set<Group>();
  let entries: Entry[] | null = null;

  function arrangeNow(): Entry[] {
    const items = present();
    if (items.some((item) => !batches.has(item))) latestBatch++;
    for (const item of items) {
      if (!batches.has(item)) batches.set(item, latestBatch);
      groups.set(item, groupOf(item));
    }
    return arrange(
      items,
      (item) => batches.get(item) ?? 0,
      (group) => open.has(group),
    );
  }

  function makeFold(group: Group): HTMLLIElement {
    const button = make('button', { type: 'button', className: 'plain' });
    button.addEventListener('click', () => {
      if (!open.delete(group)) open.add(group);
      onToggle();
    });
    return make('li', { className: `fold ${group}` }, button);
  }

  return {
    all: () => (entries ??= arrangeNow()),
    reset: () => {
      entries = null;
    },
    isInPlace: (item) => groups.get(item) === groupOf(item),
    makeFold,
  };
}

export function updateFold(row: HTMLLIElement, { group, isOpen, count }: Fold): void {
  const t = texts();
  const button = row.querySelector('button');
  if (!button) return;
  const more = isOpen ? t.showFewer : t.showMore(count);
  setText(button, group === 'done' ? t.doneCount(count) : more);
  button.ariaExpanded = String(isOpen);
}
