/** Making folder entries durable, for many callers at once. */
import { syncFolder } from './files.ts';

export interface FolderSync {
  /**
   * Resolves when every entry made, renamed or removed in the folder before the
   * call survives a power cut. Callers that come while a sync runs share the next one.
   */
  (): Promise<void>;
  /** Whether one has failed: what it was for may be lost, also after another that succeeds. */
  hasFailed(): boolean;
}

/** Returns the sync of one folder. */
export function createFolderSync(folder: string): FolderSync {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let failed = false;

  async function syncAfter(previous: Promise<void> | undefined): Promise<void> {
    // A failure there is told to those who waited for it.
    await previous?.catch(() => undefined);
    running = next;
    next = undefined;
    try {
      await syncFolder(folder);
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  const sync = (): Promise<void> => (next ??= syncAfter(running));
  return Object.assign(sync, { hasFailed: () => failed });
}
