/** The name of the file that was chosen, for one whose upload was begun by another name. */
import type { FileJson } from '../../../server/wire/files.ts';
import { ApiError, check, renameFile } from './api.ts';
import { isRenameRefusal, nextForName } from '../../core/naming.ts';
import type { Adopted } from './item.ts';

/**
 * Sees to it that there is a file by this name.
 *
 * @returns null when the service gives no second name to what it has (INSTANT=off).
 */
export async function giveName(file: FileJson, name: string, adopted: Adopted | null): Promise<FileJson | null> {
  const next = nextForName(file.name, name, adopted);
  if (next === 'keep') return file;
  if (next === 'rename') {
    const renamed = await renameFile(file.id, name).catch((error: unknown) => {
      if (error instanceof ApiError && isRenameRefusal(error)) return null;
      throw error;
    });
    if (renamed) return renamed;
  }
  const known = await check(file, name);
  return (known.status === 'exists' && known.file) || null;
}
