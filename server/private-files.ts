/** Makes the service's folder and catalog private: no other user of the machine can read them, whatever mode they had. */
import { chmod, realpath, stat } from 'node:fs/promises';
import type { Logger } from 'pino';

/** The permission bits of the group and of others. */
const OTHERS = 0o077;
/** The sticky bit (chmod(1)): a folder that is meant to be shared, as /tmp is. */
const SHARED = 0o1000;

/** Of the catalog, and of the files beside it. */
const SUFFIXES = ['', '-wal', '-shm', '-journal', '-reserve', '-names', '-names-wal', '-names-journal'];

/** Lets only this process's user read what it creates from now on: files get mode 0600, folders 0700. */
export function makeFilesPrivate(): void {
  process.umask(OTHERS);
}

/**
 * Removes the permissions of others from the data folder, and from the catalog's file and the files beside it. Only from
 * those that exist and belong to this process's user.
 */
export async function tighten(dataDir: string, catalogFile: string | undefined, log: Logger): Promise<void> {
  // The side files are beside the catalog itself, not beside a link to it.
  const catalog = catalogFile && (await realpath(catalogFile).catch(() => catalogFile));
  const files = catalog ? SUFFIXES.map((suffix) => catalog + suffix) : [];
  const paths = [dataDir, ...files];
  for (const path of paths) {
    try {
      const { mode, uid } = await stat(path);
      const isOpen = (mode & OTHERS) !== 0 && (mode & SHARED) === 0;
      if (!isOpen || uid !== process.getuid?.()) continue;
      await chmod(path, mode & 0o7777 & ~OTHERS);
      log.info({ path }, 'other users of this machine can no longer read it');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      log.warn({ path, err: error }, 'the permissions of others could not be removed');
    }
  }
}
