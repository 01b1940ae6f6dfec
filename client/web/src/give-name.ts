/** Gives a published file the name of the chosen one, where its upload was begun under another name. */
import type { FileJson } from '../../../server/wire/files.ts';
import { type Begun, giveName as giveNameBy, isRenameRefusal } from '../../core/naming.ts';
import { ApiError, check, renameFile } from './api.ts';

/** As `giveName` of core/naming.ts, for the page's service. */
export function giveName(file: FileJson, name: string, begun: Begun | null): Promise<FileJson | null> {
  return giveNameBy(file, name, begun, {
    rename: (id, newName) =>
      renameFile(id, newName).catch((error: unknown) => {
        if (error instanceof ApiError && isRenameRefusal(error)) return null;
        throw error;
      }),
    checkAs: (filename) => check(file, { filename }),
  });
}
