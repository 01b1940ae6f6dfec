/** Which files are selected: each keeps what was known of it when it was selected. */
import type { FileJson } from '../../../server/wire/files.ts';

export interface Selection {
  /** In the order in which they were selected. */
  readonly files: readonly FileJson[];
  readonly count: number;
  /** Together, in bytes. */
  readonly bytes: number;
  has(id: string): boolean;
  /**
   * Selects a file, or takes it off the selection.
   *
   * @param listed - the files of the list, in order. With it, all between the file and the one that was set before it are set alike.
   */
  set(file: FileJson, isSelected: boolean, listed?: readonly FileJson[]): void;
  /** Selects all of these. */
  setAll(files: readonly FileJson[]): void;
  /** Takes files off the selection: those that are gone. */
  drop(ids: readonly string[]): void;
  clear(): void;
}

/** @param onChange - called after each change. */
export function createSelection(onChange: () => void): Selection {
  const selected = new Map<string, FileJson>();
  let bytes = 0;
  /** The file that was set last: where a range begins. */
  let anchor: string | null = null;

  function put(file: FileJson, isSelected: boolean): void {
    const known = selected.get(file.id);
    if (isSelected && !known) {
      selected.set(file.id, file);
      bytes += file.size;
    } else if (!isSelected && known) {
      selected.delete(file.id);
      bytes -= known.size;
    }
  }

  /** The files from the anchor to this one; this one alone where the anchor is not in the list any more. */
  function rangeTo(file: FileJson, listed: readonly FileJson[]): readonly FileJson[] {
    const from = listed.findIndex(({ id }) => id === anchor);
    const to = listed.findIndex(({ id }) => id === file.id);
    if (from < 0 || to < 0) return [file];
    return listed.slice(Math.min(from, to), Math.max(from, to) + 1);
  }

  return {
    get files() {
      return [...selected.values()];
    },
    get count() {
      return selected.size;
    },
    get bytes() {
      return bytes;
    },
    has: (id) => selected.has(id),
    set: (file, isSelected, listed) => {
      for (const each of listed ? rangeTo(file, listed) : [file]) put(each, isSelected);
      anchor = file.id;
      onChange();
    },
    setAll: (files) => {
      for (const file of files) put(file, true);
      onChange();
    },
    drop: (ids) => {
      const before = selected.size;
      for (const id of ids) {
        const file = selected.get(id);
        if (file) put(file, false);
      }
      if (selected.size !== before) onChange();
    },
    clear: () => {
      if (selected.size === 0) return;
      selected.clear();
      bytes = 0;
      onChange();
    },
  };
}
