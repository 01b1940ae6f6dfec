/** Names of files as the service keeps them, by its own rule (server/wire/labels.ts). */
import { cleanName } from '../../../server/wire/labels.ts';
import { joinPath } from '../../../server/wire/paths.ts';
import { keptName } from '../../core/naming.ts';

/** Whether the service keeps a name that the user types as it is: that of a file or a folder, without the folders it is in. */
export function isAcceptable(name: string): boolean {
  return !name.includes('/') && cleanName(name) === name;
}

/** Whether the service keeps a path that the user types as it is. */
export function isAcceptablePath(path: string): boolean {
  return cleanName(path) === path;
}

/**
 * The name that the service will give a file, which may be a path: operating systems allow names that it does not. A name of which
 * cleaning would leave nothing is returned as it is, and the service chooses another.
 */
export function acceptableName(name: string): string {
  return keptName(name);
}

/** The path of something in a folder; an empty folder is the top. */
export function pathIn(folder: string, name: string): string {
  return joinPath(folder === '' ? null : folder, name);
}
