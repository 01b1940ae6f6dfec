/** The name of the file that was chosen, for one whose upload was begun by another name. */
import { check, type FileJson, renameFile } from './api.ts';
import type { Adopted } from './item.ts';

/**
 * Sees to it that there is a file by this name: what this page began by another name is
 * renamed; what somebody else began, or has renamed since, stays as it is, and the content gets
 * one more file.
 *
 * @returns null when the service gives no second name to what it has (INSTANT=off).
 */
export async function giveName(file: FileJson, name: string, adopted: Adopted | null): Promise<FileJson | null> {
  if (file.name === name || adopted === null || adopted.name === name) return file;
  if (adopted.isOurs && file.name === adopted.name) return renameFile(file.id, name);
  const known = await check(file, name);
  return (known.status === 'exists' && known.file) || null;
}
