/** The mark of a folder: a small file in it has the id of the catalog to which the folder belongs. */
import { open, opendir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Place } from '../store.ts';
import { isFsError, toStoreError } from './errors.ts';
import { syncFolder } from './files.ts';
import { MARK } from './names.ts';

/**
 * The folder as a place.
 *
 * @param isOurs - whether a name in the folder is one of an upload or a content.
 */
export function createPlace(folder: string, isOurs: (name: string) => boolean): Place {
  const mark = join(folder, MARK);

  async function readMark(): Promise<string | undefined> {
    try {
      return (await readFile(mark, 'utf8')).trim();
    } catch (error) {
      if (isFsError(error, 'ENOENT')) return undefined;
      throw toStoreError(error, `reading ${mark}`);
    }
  }

  async function writeMark(id: string): Promise<void> {
    try {
      const file = await open(`${mark}-new`, 'w', 0o600);
      try {
        await file.writeFile(`${id}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${mark}-new`, mark);
      await syncFolder(folder);
    } catch (error) {
      throw toStoreError(error, `writing ${mark}`);
    }
  }

  async function hasBytes(): Promise<boolean> {
    try {
      for await (const { name } of await opendir(folder)) if (isOurs(name)) return true;
      return false;
    } catch (error) {
      // The folder does not exist yet.
      if (isFsError(error, 'ENOENT')) return false;
      throw toStoreError(error, `looking into ${folder}`);
    }
  }

  return { kind: 'folder', name: folder, settings: 'DATA_DIR', readMark, writeMark, hasBytes };
}
