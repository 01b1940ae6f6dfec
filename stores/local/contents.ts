/** The contents of a folder that is not open: nothing in it is changed. */
import { join } from 'node:path';
import { type ContentReader, StoreError } from '../store.ts';
import { isFsError, translated } from './errors.ts';
import { identityOf } from './files.ts';
import { requirePlainName } from './names.ts';
import { openStream } from './read.ts';

export function readFolder(folder: string): ContentReader {
  const identity = identityOf(folder);
  return {
    readContent: (key, range, _signal, size) =>
      translated(`reading ${key}`, async () => {
        requirePlainName(key);
        try {
          return await openStream(join(folder, key), range, size);
        } catch (error) {
          if (isFsError(error, 'ENOENT') && (identity === undefined || identityOf(folder) !== identity))
            throw new StoreError('unavailable', `${folder} is not there: is its disk mounted?`, error);
          throw error;
        }
      }),
    close: async () => undefined,
  };
}
