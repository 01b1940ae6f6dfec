/** In which order uploads are shown, and which of them are folded away. */
import type { Item } from './item.ts';

/** Uploads that need the user come first, then those that move, then those that wait; finished ones come last. */
const GROUPS = ['attention', 'underWay', 'waiting', 'done'] as const;
export type Group = (typeof GROUPS)[number];

/** A line of the list: an upload, or what opens and closes a group. */
export type Entry = { kind: 'item'; key: string; item: Item } | Fold;

export interface Fold {
  kind: 'fold';
  key: string;
  group: Group;
  isOpen: boolean;
  /** How many it hides, or would. */
  count: number;
}

/** So few are shown together, whatever has become of them. */
const FEW = 3;
/** Of a group that is folded, so many are in sight: what comes below stays within reach. */
const IN_SIGHT: Record<Group, number> = { attention: 3, underWay: 4, waiting: 3, done: 0 };

export function groupOf({ state }: Item): Group {
  switch (state) {
    case 'failed':
    case 'interrupted':
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
 * The lines of the list.
 *
 * @param batchOf - grows with each choice of files: the latest stand on top of their group.
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
    // One more line says no less than a line that hides it.
    if (group === 'done' ? items.length <= FEW || members.length === 0 : members.length <= shown + 1) return entries;
    const open = isOpen(group);
    const fold: Fold = { kind: 'fold', key: `fold-${group}`, group, isOpen: open, count: members.length - shown };
    return [...entries.slice(0, shown), fold, ...(open ? entries.slice(shown) : [])];
  });
}
