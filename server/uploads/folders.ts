/** Folders of the catalog: look at, list, move and delete them. See docs/decisions/0063-folders.md. */
import type { FileRecord, FolderRecord } from '../catalog/catalog.ts';
import type { DeletedFolder, FileView, Folders } from './contract.ts';
import { invalidField, TidemarkError } from './errors.ts';
import { fateOf } from './fate.ts';
import { checkName } from './names.ts';
import type { Parts } from './parts.ts';
import { removeAll } from './remove-bytes.ts';
import { createDeletionIds, createSealedCursors } from './seal.ts';
import { translated } from './translate.ts';

/** How long one request deletes files: well below the time after which clients and proxies give up. */
const WORK_MS = 5_000;

/** Prepares what `Folders` promises. @param told - the file as its owner sees it. */
export function createFolders(parts: Parts, told: (file: FileRecord) => FileView): Folders {
  const { catalog } = parts;
  const [cursors, deletions] = [createSealedCursors(parts.secret), createDeletionIds(parts.secret)];

  async function get(path: string, owner: string): Promise<FolderRecord> {
    checkName(path, 'path');
    return found(await catalog.findFolder(owner, path), 'path');
  }

  async function move(path: string, owner: string, to: string): Promise<FolderRecord> {
    checkName(to, 'path');
    const outcome = await catalog.moveFolder(owner, path, to);
    await catalog.durable();
    switch (outcome.kind) {
      case 'moved':
        return outcome.folder;
      case 'not_found':
        throw notFound('path');
      case 'taken':
        throw new TidemarkError('folder_exists', { field: 'path' });
      case 'inside':
        throw invalidField('path', 'path must not be within the folder itself.');
      case 'too_long':
        throw invalidField('path', 'path is too long, or too deep, for the files that are below the folder.');
    }
  }

  const remove: Folders['remove'] = async (request) => {
    const { path, owner, cursor, signal } = cursors.opened(request);
    const { surroundings, stopping } = parts;
    const startedAt = surroundings.elapsedMs();
    const isOver = (): boolean => surroundings.elapsedMs() - startedAt > WORK_MS;
    const sum: Omit<DeletedFolder, 'nextCursor'> = { files: 0, bytes: 0 };
    for (let next = cursor; ;) {
      const deleted = found(await catalog.deleteBelow(owner, path, next, fateOf(parts.limits)), 'path');
      sum.files += deleted.files;
      sum.bytes += deleted.bytes;
      // The rows' deletion is durable before the bytes go. Otherwise a power cut leaves a file without bytes.
      await catalog.durable();
      await removeAll(parts, deleted.removed, isOver);
      const { nextCursor, deletion } = deleted;
      if (deletion !== undefined) sum.deletion = deletions.seal(owner, deletion);
      if (nextCursor === null || isOver()) return { ...sum, nextCursor: cursors.seal(owner, nextCursor) };
      next = nextCursor;
      // A catalog in this process answers without a turn of the event loop, in which the client's leaving is noticed, too.
      await surroundings.turn();
      for (const end of [stopping, signal]) end.throwIfAborted();
    }
  };

  return {
    get: (path, owner) => translated(() => get(path, owner)),
    list: (query) =>
      translated(async () => {
        if (query.folder !== '') checkName(query.folder, 'prefix');
        const { folders, files, nextCursor } = found(await catalog.listFolder(cursors.opened(query)), 'prefix');
        return { folders, files: files.map(told), nextCursor: cursors.seal(query.owner, nextCursor) };
      }),
    listBelow: (query) =>
      translated(async () => {
        if (query.folder !== '') checkName(query.folder, 'prefix');
        const { files, nextCursor } = found(await catalog.listBelow(cursors.opened(query)), 'prefix');
        return { files: files.map(told), nextCursor: cursors.seal(query.owner, nextCursor) };
      }),
    move: (path, owner, to) =>
      translated(() => {
        checkName(path, 'path');
        return move(path, owner, to);
      }),
    remove: (request) =>
      translated(() => {
        checkName(request.path, 'path');
        return remove(request);
      }),
  };
}

function found<T>(folder: T | undefined, field: string): T {
  if (folder === undefined) throw notFound(field);
  return folder;
}

/** A folder of somebody else gets the same answer as one that is not there. */
function notFound(field: string): TidemarkError {
  return new TidemarkError('not_found', { field, message: 'There is no folder at that path.' });
}
