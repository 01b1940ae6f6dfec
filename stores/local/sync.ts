/** Makes the entries of a folder durable, for many callers at once. */
import { syncFolder } from './files.ts';

export interface FolderSync {
  /**
   * Resolves when every entry that was created, renamed or removed in the folder since `failures()` returned this number
   * survives a power cut. Calls during a sync share the next one.
   *
   * @throws the error of any sync since then, also of another caller's: it may have been for these entries, and the
   *   kernel reports it only once.
   */
  (failures: number): Promise<void>;
  /** How many syncs have failed. To be called before the change that is to be synced. */
  failures(): number;
}

/** Returns the sync of one folder. */
export function createFolderSync(folder: string): FolderSync {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let failed = 0;
  let failure: unknown;

  async function syncAfter(previous: Promise<void> | undefined): Promise<void> {
    // The callers of that sync get its error.
    await previous?.catch(() => undefined);
    running = next;
    next = undefined;
    try {
      await syncFolder(folder);
    } catch (error) {
      failed++;
      failure = error;
      throw error;
    }
  }

  async function sync(failures: number): Promise<void> {
    await (next ??= syncAfter(running));
    if (failed > failures) throw failure;
  }

  return Object.assign(sync, { failures: () => failed });
}
