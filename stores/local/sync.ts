/** Making folder entries durable, for many callers at once. */
import { syncFolder } from './files.ts';

export interface FolderSync {
  /**
   * Resolves when every entry made, renamed or removed in the folder since `failures()` gave this number
   * survives a power cut. Callers that come while a sync runs share the next one.
   *
   * @throws what a sync threw since, also one that others asked for: it may have been for these entries,
   *   and the kernel reports it once.
   */
  (failures: number): Promise<void>;
  /** How many have failed: to be asked before the change that a sync is for. */
  failures(): number;
}

/** Returns the sync of one folder. */
export function createFolderSync(folder: string): FolderSync {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let failed = 0;
  let failure: unknown;

  async function syncAfter(previous: Promise<void> | undefined): Promise<void> {
    // Its callers are told of a failure.
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
