/** The service's folder and catalog are its own: nobody else on the machine reads them, whatever they were made with. */
import { chmod, realpath, stat } from 'node:fs/promises';
import type { Logger } from 'pino';

/** Bits of the group and of others. */
const OTHERS = 0o077;
/** A folder that is meant to be shared, as /tmp is (sticky bit, chmod(1)). */
const SHARED = 0o1000;

/** Everything that this process makes from now on is its user's alone: files 0600, folders 0700. */
export function makeFilesPrivate(): void {
  process.umask(OTHERS);
}

/**
 * Takes the rights of others from the data folder, and from the catalog's file, if it has one, and what belongs
 * to it, as far as they are there and this process's own.
 */
export async function tighten(dataDir: string, catalogFile: string | undefined, log: Logger): Promise<void> {
  // The side files are beside the catalog itself, not beside a link to it.
  const catalog = catalogFile && (await realpath(catalogFile).catch(() => catalogFile));
  const files = catalog ? ['', '-wal', '-shm', '-journal', '-reserve'].map((suffix) => catalog + suffix) : [];
  const paths = [dataDir, ...files];
  for (const path of paths) {
    try {
      const { mode, uid } = await stat(path);
      const isOpen = (mode & OTHERS) !== 0 && (mode & SHARED) === 0;
      if (!isOpen || uid !== process.getuid?.()) continue;
      await chmod(path, mode & 0o7777 & ~OTHERS);
      log.info({ path }, 'others on this machine may no longer read it');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      log.warn({ path, err: error }, 'the rights of others could not be taken back');
    }
  }
}
