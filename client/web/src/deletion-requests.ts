/** Deletes an entry at the service; where that fails, it is back on the list. */
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, type FolderEntry, pathOf } from '../../core/listing.ts';
import { deleteFile } from './api.ts';
import { deleteFolder, type FolderDeleted } from './api-folders.ts';
import type { Catalog } from './catalog.ts';
import { shownName } from './dom.ts';
import { texts } from './i18n.ts';
import { notify } from './notices.ts';
import { sentenceOfError } from './refusal.ts';
import type { Restorable } from './restoring.ts';
import { trashKeptSeconds } from './trash-state.ts';

/** @returns a function that deletes an entry. It returns what was deleted; null: nothing, or what cannot be restored. */
export function createDeletionRequests(
  catalog: Catalog,
): (off: { entry: Entry; putBack: () => void }) => Promise<Restorable | null> {
  async function sendFile(id: string): Promise<Restorable> {
    await deleteFile(id).catch(goneAlready);
    catalog.gone(id);
    return { file: id };
  }

  async function sendFolder(entry: FolderEntry, putBack: () => void): Promise<Restorable | null> {
    const done: FolderDeleted = (await deleteFolder(entry.folder.name).catch(goneAlready)) ?? { deletion: undefined };
    const { deletion, problem } = done;
    if (problem === undefined) catalog.folderGone(entry);
    else {
      putBack();
      tellFailure(entry, problem);
    }
    return deletion === undefined ? lostIn(entry) : { deletion, putBack };
  }

  return async ({ entry, putBack }) => {
    try {
      return await (entry.kind === 'file' ? sendFile(entry.file.id) : sendFolder(entry, putBack));
    } catch (error) {
      putBack();
      tellFailure(entry, error);
      return entry.kind === 'folder' && !isRefused(error) ? lostIn(entry) : null;
    }
  };
}

export function nameOf(entry: Entry): string {
  return shownName(lastPart(pathOf(entry)));
}

function tellFailure(entry: Entry, error: unknown): void {
  notify(texts().deleteFailed(nameOf(entry), sentenceOfError(error)));
}

/** What was deleted of a folder is in the trash, but no answer has told by which id. */
function lostIn(entry: FolderEntry): Restorable | null {
  return trashKeptSeconds() === 0 ? null : { lost: nameOf(entry) };
}

/** Whether the service has refused a request: it has done nothing. */
function isRefused(error: unknown): boolean {
  const { status = 0 } = error as { status?: number };
  return status >= 400 && status < 500;
}

/** Somebody else has deleted it before. */
function goneAlready(error: unknown): undefined {
  if ((error as { status?: number }).status !== 404) throw error;
  return undefined;
}
