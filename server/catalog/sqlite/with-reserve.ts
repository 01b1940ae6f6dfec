/**
 * A catalog whose deletions work also when the disk is full. A method that was refused as `full` can be called again: it
 * is one transaction, which was rolled back.
 */
import { CatalogError } from '../catalog.ts';
import type { Catalog } from '../catalog.ts';
import type { Reserve } from './reserve.ts';

/**
 * On a full disk, retries methods that free room, or that record bytes which are already stored: first after a checkpoint,
 * then with the reserve. Methods that only need more room (createUpload, addFile, renameFile, moveFolder, restoreTrashed) are refused as before.
 *
 * @param checkpoint - applies the log to the database, so that the log's room is used again.
 */
export function withReserve(catalog: Catalog, reserve: Reserve, checkpoint: () => Promise<unknown>): Catalog {
  async function makingRoom<T>(run: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await run();
    } catch (error) {
      if (!isFull(error)) throw error;
      // The checkpoint first: otherwise clients that retry often would use up the reserve, as each retry makes the log longer.
      // Where the checkpoint itself needs room and fails, the reserve still helps.
      await checkpoint().catch(() => undefined);
      result = await runWithReserve(reserve, run);
    }
    // The bytes of a deletion are removed after its transaction, so it is a later call that finds their room. There is one
    // at least every minute, when the service forgets ended uploads.
    void reserve.restore();
    return result;
  }

  return {
    ...catalog,
    takeLease: (...args) => makingRoom(() => catalog.takeLease(...args)),
    releaseLease: (...args) => makingRoom(() => catalog.releaseLease(...args)),
    // Claims need no room themselves, but share their commit with writes that may.
    claim: (...args) => makingRoom(() => catalog.claim(...args)),
    claimRemoval: (...args) => makingRoom(() => catalog.claimRemoval(...args)),
    unclaimRemoval: (...args) => makingRoom(() => catalog.unclaimRemoval(...args)),
    unclaim: (...args) => makingRoom(() => catalog.unclaim(...args)),
    commitOffset: (...args) => makingRoom(() => catalog.commitOffset(...args)),
    declareLength: (...args) => makingRoom(() => catalog.declareLength(...args)),
    withdrawLength: (...args) => makingRoom(() => catalog.withdrawLength(...args)),
    expectLength: (...args) => makingRoom(() => catalog.expectLength(...args)),
    forgetComplete: (...args) => makingRoom(() => catalog.forgetComplete(...args)),
    endUpload: (...args) => makingRoom(() => catalog.endUpload(...args)),
    forgetStoreState: (...args) => makingRoom(() => catalog.forgetStoreState(...args)),
    forgetEnded: (...args) => makingRoom(() => catalog.forgetEnded(...args)),
    releasePartials: (...args) => makingRoom(() => catalog.releasePartials(...args)),
    addDigests: (...args) => makingRoom(() => catalog.addDigests(...args)),
    publish: (...args) => makingRoom(() => catalog.publish(...args)),
    // Not `publishAtOnce`, whose bytes would be new on the full disk.
    removalDone: (...args) => makingRoom(() => catalog.removalDone(...args)),
    deleteFile: (...args) => makingRoom(() => catalog.deleteFile(...args)),
    // Whom a link was given by mistake must not have it because the disk is full; and what is downloaded needs no room.
    revokeLink: (...args) => makingRoom(() => catalog.revokeLink(...args)),
    countDownload: (...args) => makingRoom(() => catalog.countDownload(...args)),
    giveBackDownload: (...args) => makingRoom(() => catalog.giveBackDownload(...args)),
    countAttempt: (...args) => makingRoom(() => catalog.countAttempt(...args)),
    forgiveAttempts: (...args) => makingRoom(() => catalog.forgiveAttempts(...args)),
    forgetLinks: (...args) => makingRoom(() => catalog.forgetLinks(...args)),
    deleteBelow: (...args) => makingRoom(() => catalog.deleteBelow(...args)),
    deleteTrashed: (...args) => makingRoom(() => catalog.deleteTrashed(...args)),
    purgeTrash: (...args) => makingRoom(() => catalog.purgeTrash(...args)),
    forgetEvents: (...args) => makingRoom(() => catalog.forgetEvents(...args)),

    async close() {
      // Before the database is unlocked: from then on, another service may use the reserve.
      await reserve.close();
      await catalog.close();
    },
  };
}

/** Calls `run`, and again after each part that the reserve gives back, as long as there is no room. */
export async function runWithReserve<T>(reserve: Pick<Reserve, 'giveBack'>, run: () => Promise<T>): Promise<T> {
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
