/** A catalog that wakes listeners after each change of files, with the contract's own signature: no caller can forget to. */
import type { Catalog } from '../catalog/catalog.ts';

/** @param wake - called with an owner whenever something may have happened to their files, also where the call failed. */
export function withWakes(catalog: Catalog, wake: (owner: string) => void): Catalog {
  async function waking<T>(owner: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } finally {
      wake(owner);
    }
  }

  return {
    ...catalog,
    publish: (publication) => waking(publication.file.owner, () => catalog.publish(publication)),
    publishAtOnce: (publication, mostOpen) =>
      waking(publication.file.owner, () => catalog.publishAtOnce(publication, mostOpen)),
    addFile: (contentId, file) => waking(file.owner, () => catalog.addFile(contentId, file)),
    renameFile: (id, owner, ...to) => waking(owner, () => catalog.renameFile(id, owner, ...to)),
    moveFolder: (owner, from, to) => waking(owner, () => catalog.moveFolder(owner, from, to)),
    deleteBelow: (owner, ...what) => waking(owner, () => catalog.deleteBelow(owner, ...what)),
    deleteFile: (id, owner, fate) => waking(owner, () => catalog.deleteFile(id, owner, fate)),
    restoreTrashed: (owner, which) => waking(owner, () => catalog.restoreTrashed(owner, which)),
  };
}
