/** What the local store uses of @tus/file-store. */
import { FileStore } from '@tus/file-store';

/**
 * Creates the library's store, which is only asked which extensions of tus it supports. It does not store anything: it
 * never syncs, and would keep the state of uploads in JSON files beside their data.
 *
 * @param directory - has to exist: the library would create it, and would exit the process where that fails.
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
