/** The order in which uploads are shown, and which of them are collapsed. */
import type { Item } from './item.ts';

/** Uploads that need the user come first, then those that move, then those that wait; finished ones come last. */
const GROUPS = ['attention', 'underWay', 'waiting', 'done'] as const;
export type Group = (typeof GROUPS)[number];

/** An entry of the list: an upload, or the button that expands and collapses a group. */
export type Entry = { kind: 'item'; key: string; item: Item } | Fold;

export interface Fold {
  kind: 'fold';
  key: string;
  group: Group;
  isOpen: boolean;
  /** How many uploads it hides when collapsed. */
  count: number;
}

/** With at most so many uploads in all, finished ones are not collapsed either. */
const FEW = 3;
/** How many uploads of a collapsed group are shown. */
const IN_SIGHT: Record<Group, number> = { attention: 3, underWay: 4, waiting: 3, done: 0 };

export function groupOf({ state }: Item): Group {
  switch (state) {
    case 'failed':
    case 'interrupted':
    case 'asking':
      return 'attention';
    case 'hashing':
    case 'checking':
    case 'sending':
    case 'stalled':
    case 'paused':
      return 'underWay';
    case 'queued':
    case 'ready':
      return 'waiting';
    case 'done':
    case 'instant':
      return 'done';
  }
}

/**
 * Arranges the entries of the list.
 *
 * @param batchOf - number of the batch in which an item was added: the latest batch comes first in its group.
 */
export function arrange(
  items: readonly Item[],
  batchOf: (item: Item) => number,
  isOpen: (group: Group) => boolean,
): Entry[] {
  const grouped: Record<Group, Item[]> = { attention: [], underWay: [], waiting: [], done: [] };
  for (const item of items) grouped[groupOf(item)].push(item);
  return GROUPS.flatMap((group) => {
    const members = grouped[group].sort((a, b) => batchOf(b) - batchOf(a));
    const entries = members.map((item): Entry => ({ kind: 'item', key: item.id, item }));
    const shown = IN_SIGHT[group];
    // A button that hides a single upload would need as much room as that upload.
    if (group === 'done' ? items.length <= FEW || members.length === 0 : members.length <= shown + 1) return entries;
    const open = isOpen(group);
    const fold: Fold = { kind: 'fold', key: `fold-${group}`, group, isOpen: open, count: members.length - shown };
    return [...entries.slice(0, shown), fold, ...(open ? entries.slice(shown) : [])];
  });
}
