/**
 * Changes of the folder's entries (names) on which other calls may depend. An entry whose sync failed is visible, but a
 * power cut may undo it, and no later sync reports that. Such an entry is remembered as unsettled until it is replaced.
 */
import { join } from 'node:path';
import { StoreError } from '../store.ts';
import { isFsError } from './errors.ts';
import { createFile, removeFile, replaceByCopy } from './files.ts';
import { UNSETTLED } from './names.ts';
import type { FolderSync } from './sync.ts';

export interface Entries {
  /**
   * Runs an action that changes the entry of this name, and syncs the folder; one change of a name at a time. An action that
   * throws a StoreError has not changed the entry; after any other error, the entry counts as unsettled.
   */
  change(name: string, action: () => Promise<void>): Promise<void>;
  /** As `change`, for an entry that a later process would take for settled: until it is, a file beside it marks it. */
  replace(name: string, action: () => Promise<void>): Promise<void>;
  /** Resolves when the present entry survives a power cut: waits for a running change, and replaces an unsettled entry. */
  settle(name: string): Promise<void>;
  isUnsettled(name: string): boolean;
  /** At a start: a file marks the entry as unsettled. */
  markUnsettled(name: string): void;
  /** To be called when the entry has been removed. */
  forget(name: string): Promise<void>;
}

/** Returns the entries of a folder, all settled. */
export function createEntries(directory: string, sync: FolderSync): Entries {
  const unsettled = new Set<string>();
  const turns = new Map<string, Promise<void>>();

  function inTurn(name: string, action: () => Promise<void>): Promise<void> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(action);
    const ended = turn
      .catch(() => undefined)
      .finally(() => {
        if (turns.get(name) === ended) turns.delete(name);
      });
    turns.set(name, ended);
    return turn;
  }

  async function makeDurable(name: string, action: () => Promise<void>): Promise<void> {
    const failures = sync.failures();
    await action();
    await sync(failures);
    unsettled.delete(name);
  }

  function change(name: string, action: () => Promise<void>): Promise<void> {
    return inTurn(name, async () => {
      const wasUnsettled = unsettled.has(name);
      unsettled.add(name);
      try {
        await makeDurable(name, action);
      } catch (error) {
        if (error instanceof StoreError && !wasUnsettled) {
          unsettled.delete(name);
          await removeNote(name);
        }
        throw error;
      }
      if (wasUnsettled) await removeNote(name);
    });
  }

  const noteOf = (name: string): string => join(directory, UNSETTLED + name);

  async function removeNote(name: string): Promise<void> {
    await removeFile(noteOf(name));
  }

  return {
    change,

    replace: (name, action) =>
      change(name, async () => {
        // The mark is not synced: after a power cut, the entry is what the disk has, and is settled.
        await (await createFile(noteOf(name))).close();
        await action();
      }).then(() => removeNote(name)),

    settle: async (name) => {
      if (!unsettled.has(name)) return;
      await inTurn(name, async () => {
        if (!unsettled.has(name)) return;
        try {
          await makeDurable(name, () => replaceByCopy(join(directory, name), join(directory, `.copy-${name}`)));
          await removeNote(name);
        } catch (error) {
          // The entry is gone: nothing depends on it.
          if (!isFsError(error, 'ENOENT')) throw error;
        }
      });
    },

    isUnsettled: (name) => unsettled.has(name),
    markUnsettled: (name) => void unsettled.add(name),
    forget: async (name) => {
      if (unsettled.delete(name)) await removeNote(name);
    },
  };
}
