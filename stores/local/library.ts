/** What @tus/file-store does for a folder. */
import { FileStore } from '@tus/file-store';

/**
 * Names the extensions of tus that uploads in a folder can have. A store asks it and is none: the library's own way of
 * bytes knows no sync, and keeps an upload's state in JSON files beside the data.
 *
 * @param directory - is there already: the library makes it where it is not, and ends the process when it can't.
 */
export function createLibrary(directory: string): FileStore {
  return new FileStore({ directory, configstore: NO_SIDE_FILES });
}

const NO_SIDE_FILES = {
  get: refuseSideFile,
  set: refuseSideFile,
  delete: refuseSideFile,
};

function refuseSideFile(): never {
  throw new Error("an upload's state is kept in the catalog");
}
