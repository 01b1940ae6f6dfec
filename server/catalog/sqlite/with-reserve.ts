/**
 * A catalog whose deletions still work when the disk is full. Repeating a method that
 * was refused as `full` is safe: it is one transaction, which did not happen.
 */
import { CatalogError } from '../catalog.ts';
import type { Catalog } from '../catalog.ts';
import type { Reserve } from './reserve.ts';

/**
 * Lets methods that free room, or keep what has taken it, use the log anew and draw
 * on the reserve. What asks for more (createUpload, addFile, renameFile) is refused
 * as before.
 *
 * @param checkpoint - brings what the log holds into the database, so that its room is used again.
 */
export function withReserve(catalog: Catalog, reserve: Reserve, checkpoint: () => Promise<unknown>): Catalog {
  async function makingRoom<T>(run: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await run();
    } catch (error) {
      if (!isFull(error)) throw error;
      // Otherwise clients that try again and again would use up the reserve by lengthening the log.
      // A checkpoint may itself need room; then there is the reserve.
      await checkpoint().catch(() => undefined);
      result = await runWithReserve(reserve, run);
    }
    // Bytes are removed after their row, so a later call finds the room that this one has freed. A call comes every
    // minute at the latest, when the service forgets ended uploads.
    void reserve.restore();
    return result;
  }

  return {
    ...catalog,
    takeLease: (...args) => makingRoom(() => catalog.takeLease(...args)),
    releaseLease: (...args) => makingRoom(() => catalog.releaseLease(...args)),
    // They need no room themselves, but share their commit with others that may.
    claim: (...args) => makingRoom(() => catalog.claim(...args)),
    claimRemoval: (...args) => makingRoom(() => catalog.claimRemoval(...args)),
    unclaimRemoval: (...args) => makingRoom(() => catalog.unclaimRemoval(...args)),
    unclaim: (...args) => makingRoom(() => catalog.unclaim(...args)),
    commitOffset: (...args) => makingRoom(() => catalog.commitOffset(...args)),
    declareLength: (...args) => makingRoom(() => catalog.declareLength(...args)),
    withdrawLength: (...args) => makingRoom(() => catalog.withdrawLength(...args)),
    endUpload: (...args) => makingRoom(() => catalog.endUpload(...args)),
    forgetStoreState: (...args) => makingRoom(() => catalog.forgetStoreState(...args)),
    forgetEnded: (...args) => makingRoom(() => catalog.forgetEnded(...args)),
    addDigests: (...args) => makingRoom(() => catalog.addDigests(...args)),
    publish: (...args) => makingRoom(() => catalog.publish(...args)),
    removalDone: (...args) => makingRoom(() => catalog.removalDone(...args)),
    deleteFile: (...args) => makingRoom(() => catalog.deleteFile(...args)),
    forgetEvents: (...args) => makingRoom(() => catalog.forgetEvents(...args)),

    async close() {
      // Before the lock goes: from then on the reserve may be another service's.
      await reserve.close();
      await catalog.close();
    },
  };
}

/** Runs, and runs again for as long as there is no room and the reserve has some to give. */
export async function runWithReserve<T>(reserve: Reserve, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isFull(error) || !(await reserve.giveBack())) throw error;
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof CatalogError && error.code === 'full';
}
