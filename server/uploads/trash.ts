/** Implements `Trash`. */
import type { FileRecord, OwnerTotal } from '../catalog/catalog.ts';
import type { DeletedForGood, TrashedFile, TrashSelection } from '../catalog/trash.ts';
import type { FileView } from './contract.ts';
import { invalidField, TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { removeAll } from './remove-bytes.ts';
import { createDeletionIds } from './seal.ts';
import { translated } from './translate.ts';
import {
  MOST_NAMED,
  type Progress,
  type Restored,
  type Trash,
  type TrashedView,
  type TrashMeant,
} from './trash-contract.ts';

/** As many as the catalog takes at once. */
const BATCH = 64;
/** How long one request works: well below the time after which clients and proxies give up. */
const WORK_MS = 5_000;

/** Prepares what `Trash` promises. @param told - the file as its owner sees it. */
export function createTrash(parts: Parts, told: (file: FileRecord) => FileView): Trash {
  const { catalog, limits } = parts;
  const { trashTtlMs: keptMs } = limits;
  const deletions = createDeletionIds(parts.secret);

  function shown({ deletedAt, deletion, ...file }: TrashedFile): TrashedView {
    const { owner } = file;
    return {
      ...told(file),
      deletedAt,
      expiresAt: deletedAt + keptMs,
      deletion: deletion && { ...deletion, id: deletions.seal(owner, deletion.id) },
    };
  }

  /** With the deletion as the catalog calls it. */
  function opened(owner: string, meant: TrashMeant): TrashMeant {
    return 'deletion' in meant ? { deletion: deletions.open(owner, meant.deletion) } : meant;
  }

  async function restore(owner: string, meant: TrashMeant, signal: AbortSignal): Promise<Restored> {
    const files: FileRecord[] = [];
    const progress = await work(parts, { owner, meant, signal }, async (which) => {
      const some = await catalog.restoreTrashed(owner, which);
      // A folder may have very many.
      if ('ids' in which) files.push(...some, ...(await restoredBefore(owner, which.ids, some)));
      return { files: some.length, bytes: bytesOf(some) };
    });
    await catalog.durable();
    if (!('ids' in meant)) return found(progress, meant);
    const sum = { files: files.length, bytes: bytesOf(files) };
    return { ...found({ ...progress, ...sum }, meant), restored: files.map(told) };
  }

  async function restoredBefore(
    owner: string,
    ids: readonly string[],
    now: readonly FileRecord[],
  ): Promise<FileRecord[]> {
    const given = new Set(now.map(({ id }) => id));
    const others = ids.filter((id) => !given.has(id));
    return others.length > 0 ? catalog.findFiles(others, owner) : [];
  }

  async function remove(owner: string, meant: TrashMeant, signal: AbortSignal): Promise<Progress> {
    const progress = await work(parts, { owner, meant, signal }, async (which, isOver) => {
      const deleted = await catalog.deleteTrashed(owner, which);
      await removeBytesOf(parts, deleted, isOver);
      return deleted;
    });
    return found(progress, meant);
  }

  return {
    keptMs,
    list: (query) =>
      translated(async () => {
        const { files, nextCursor } = await catalog.listTrash(query);
        return { files: files.map(shown), nextCursor };
      }),
    totalOf: (owner) => translated(() => catalog.trashTotalOf(owner)),
    restore: (owner, meant, signal) => translated(() => restore(owner, opened(owner, meant), signal)),
    remove: (owner, meant, signal) => translated(() => remove(owner, opened(owner, meant), signal)),
  };
}

/**
 * Removes the bytes of which nothing is left, once the deletion of the rows is durable: a power cut must not leave rows without bytes.
 *
 * @param isOver - as of `removeAll`.
 */
export async function removeBytesOf(
  parts: Parts,
  { files, removed }: DeletedForGood,
  isOver?: () => boolean,
): Promise<void> {
  if (files > 0) await parts.catalog.durable();
  await removeAll(parts, removed, isOver);
}

/**
 * Takes some files after the others, until the time of one request is over.
 *
 * @param take - returns what they were. `isOver`: whether that time is over.
 */
async function work(
  parts: Parts,
  { owner, meant, signal }: { owner: string; meant: TrashMeant; signal: AbortSignal },
  take: (which: TrashSelection, isOver: () => boolean) => Promise<OwnerTotal>,
): Promise<Progress> {
  const { surroundings, stopping } = parts;
  const startedAt = surroundings.elapsedMs();
  const isOver = (): boolean => surroundings.elapsedMs() - startedAt > WORK_MS;
  const sum = { files: 0, bytes: 0 };
  async function takeSome(which: TrashSelection): Promise<number> {
    stopping.throwIfAborted();
    const { files, bytes } = await take(which, isOver);
    sum.files += files;
    sum.bytes += bytes;
    // A catalog in this process answers without a turn of the event loop, in which the client's leaving is noticed, too.
    await surroundings.turn();
    return files;
  }

  if ('ids' in meant) {
    const ids = checkIds(meant.ids);
    // They are few: a thousand, at most.
    for (let at = 0; at < ids.length; at += BATCH) await takeSome({ ids: ids.slice(at, at + BATCH) });
    return { ...sum, isComplete: true };
  }
  const which = await selectionOf(parts, owner, meant);
  const until = which && 'until' in which ? { until: which.until } : {};
  while (which && (await takeSome(which)) > 0) {
    if (isOver()) return { ...sum, ...until, isComplete: false };
    signal.throwIfAborted();
  }
  return { ...sum, ...until, isComplete: true };
}

/** @throws `invalid_field`. */
function checkIds(given: readonly string[]): string[] {
  const ids = [...new Set(given)];
  if (ids.length === 0) throw invalidField('files', 'files must name at least one file, by its id.');
  if (ids.length > MOST_NAMED) throw invalidField('files', `files must name at most ${MOST_NAMED} files.`);
  return ids;
}

/** All: what was in the trash when the first request came. Files that are deleted meanwhile stay in it. */
async function selectionOf(
  { catalog }: Parts,
  owner: string,
  meant: Exclude<TrashMeant, { ids: readonly string[] }>,
): Promise<TrashSelection | undefined> {
  if ('deletion' in meant) return meant;
  if (meant.until !== undefined) return { until: meant.until };
  const [latest] = (await catalog.listTrash({ owner, limit: 1 })).files;
  return latest && { until: latest.deletedAt };
}

/** @throws `not_found` where files were named, and none was there. */
function found<Sum extends OwnerTotal>(sum: Sum, meant: TrashMeant): Sum {
  if (sum.files > 0 || 'all' in meant) return sum;
  const field = 'ids' in meant ? 'files' : 'deletion';
  const message =
    field === 'files' ? 'None of these files is in the trash.' : 'Nothing of that deletion is in the trash.';
  throw new TidemarkError('not_found', { field, message });
}

function bytesOf(files: readonly FileRecord[]): number {
  return files.reduce((sum, { content }) => sum + content.size, 0);
}
