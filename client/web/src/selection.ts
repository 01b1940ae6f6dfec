/** Which files and folders are selected: each keeps what was known of it when it was selected, or was read again. */
import type { Entry } from '../../core/listing.ts';

export interface Selection {
  /** In the order in which they were selected. */
  readonly entries: readonly Entry[];
  readonly count: number;
  /** Files, with those in the folders. */
  readonly files: number;
  /** Together, in bytes. */
  readonly bytes: number;
  has(key: string): boolean;
  /**
   * Selects an entry, or takes it off the selection.
   *
   * @param listed - the entries of the list, in order. With it, all between the entry and the one that was set before it are set alike.
   */
  set(entry: Entry, isSelected: boolean, listed?: readonly Entry[]): void;
  /** Selects all of these. */
  setAll(entries: readonly Entry[]): void;
  /** Takes entries off the selection: those that are gone. */
  drop(keys: readonly string[]): void;
  /** Takes what is known by now of entries that are selected. */
  renew(entries: readonly Entry[]): void;
  clear(): void;
}

function sizeOf(entry: Entry): { files: number; bytes: number } {
  return entry.kind === 'file' ? { files: 1, bytes: entry.file.size } : entry.folder;
}

/** @param onChange - called after each change. */
export function createSelection(onChange: () => void): Selection {
  const selected = new Map<string, Entry>();
  const sum = { files: 0, bytes: 0 };
  /** The entry that was set last: where a range begins. */
  let anchor: string | null = null;

  function count(entry: Entry, sign: 1 | -1): void {
    const { files, bytes } = sizeOf(entry);
    sum.files += sign * files;
    sum.bytes += sign * bytes;
  }

  function put(entry: Entry, isSelected: boolean): void {
    const known = selected.get(entry.key);
    if (isSelected && !known) {
      selected.set(entry.key, entry);
      count(entry, 1);
    } else if (!isSelected && known) {
      selected.delete(entry.key);
      count(known, -1);
    }
  }

  return {
    get entries() {
      return [...selected.values()];
    },
    get count() {
      return selected.size;
    },
    get files() {
      return sum.files;
    },
    get bytes() {
      return sum.bytes;
    },
    has: (key) => selected.has(key),
    set: (entry, isSelected, listed) => {
      for (const each of listed ? rangeOf(listed, anchor, entry) : [entry]) put(each, isSelected);
      anchor = entry.key;
      onChange();
    },
    setAll: (entries) => {
      for (const entry of entries) put(entry, true);
      onChange();
    },
    drop: (keys) => {
      const before = selected.size;
      for (const key of keys) {
        const entry = selected.get(key);
        if (entry) put(entry, false);
      }
      if (selected.size !== before) onChange();
    },
    renew: (entries) => {
      for (const entry of entries) {
        const known = selected.get(entry.key);
        if (!known) continue;
        count(known, -1);
        selected.set(entry.key, entry);
        count(entry, 1);
      }
    },
    clear: () => {
      if (selected.size === 0) return;
      selected.clear();
      Object.assign(sum, { files: 0, bytes: 0 });
      onChange();
    },
  };
}

/** The entries from the anchor to this one; this one alone where the anchor is not in the list any more. */
function rangeOf(listed: readonly Entry[], anchor: string | null, entry: Entry): readonly Entry[] {
  const from = listed.findIndex(({ key }) => key === anchor);
  const to = listed.findIndex(({ key }) => key === entry.key);
  if (from < 0 || to < 0) return [entry];
  return listed.slice(Math.min(from, to), Math.max(from, to) + 1);
}
