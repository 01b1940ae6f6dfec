/** Removes bytes from the store that the catalog has no content for any more. */
import type { RemovedContent } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';

/** A removal takes one or a few calls of the store, each with a time limit of its own. */
const REMOVED_WITHIN_MS = 600_000;
/** The bytes of so many contents are removed at once: each removal takes a call of the store. */
const REMOVED_AT_ONCE = 8;

/**
 * Removes the bytes of a content that is gone from the catalog, unless another node does, or a content has the key again.
 * A job retries what fails here.
 *
 * @returns false where they are still there.
 */
export async function removeBytes(parts: RemovalParts, key: string, isRetry = false): Promise<boolean> {
  const { store, catalog, log } = parts;
  const { node } = parts.leases;
  try {
    if (!(await catalog.claimRemoval(key, node, REMOVED_WITHIN_MS))) return true;
    await store.removeContent(key, isRetry);
    await catalog.removalDone(key);
    return true;
  } catch (error) {
    log.warn({ key, err: error }, 'the bytes of a deleted content could not be removed yet');
    await catalog.unclaimRemoval(key, node).catch(() => undefined);
    return false;
  }
}

/** Removes the bytes of a content whose last file was replaced, or is gone with its folder. The rows are durable. */
export async function removeReplaced(parts: Parts, removed: RemovedContent | null): Promise<void> {
  if (removed) await parts.contentMutex.run(removed.md5, () => removeBytes(parts, removed.key));
}

/** Removes the bytes of these contents, some at once. A job removes those that are left when the time is over. */
export async function removeAll(
  parts: Parts,
  removed: readonly RemovedContent[],
  isOver: () => boolean = () => false,
): Promise<void> {
  const left = removed[Symbol.iterator]();
  const removeEach = async (): Promise<void> => {
    for (const each of left) {
      if (isOver()) return;
      await removeReplaced(parts, each);
    }
  };
  await Promise.all(Array.from({ length: REMOVED_AT_ONCE }, removeEach));
}

type RemovalParts = Pick<Parts, 'store' | 'catalog' | 'log' | 'leases'>;
