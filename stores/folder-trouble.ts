/** Helps the doctor with local folders: finds where one would be created, and explains errors. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StepError } from './section.ts';

/** For each error code, what the operator should change; see open(2), mkdir(2). */
const CHANGES: Record<string, string> = {
  EACCES: 'give it to the user that runs the service (chown), or set DATA_DIR',
  EPERM: 'give it to the user that runs the service (chown), or set DATA_DIR',
  EROFS: 'its file system is read-only: mount it writable, or set DATA_DIR',
  ENOSPC: 'its disk is full: make room',
  EDQUOT: "this user's quota is used up: raise it",
  ENOTDIR: 'a part of its path is a file: set DATA_DIR',
  EIO: 'its disk fails: see the log of the kernel',
};

/** Explains an error of the file system on a folder below DATA_DIR. */
export function explainFolderTrouble(error: unknown): { found: string; change: string } {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return { found: message, change: CHANGES[code] ?? 'set DATA_DIR to a folder of a local disk' };
}

/** The folder, or, where it is missing, the nearest existing one above. @throws StepError where a file is in its place. */
export async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return nearestFolder(dirname(path));
  if (!found.isDirectory()) throw new StepError(`${path} is a file`, 'move it away, or set DATA_DIR');
  return path;
}
