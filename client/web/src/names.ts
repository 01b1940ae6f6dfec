/** Names of files as the service keeps them, by its own rule (server/wire/labels.ts). */
import { cleanName } from '../../../server/wire/labels.ts';
import { keptName } from '../../core/naming.ts';

/** Whether the service keeps a name that the user types as it is. */
export function isAcceptable(name: string): boolean {
  return cleanName(name) === name;
}

/**
 * The name that the service will give a file: operating systems allow names that it does not. A name of which cleaning would
 * leave nothing is returned as it is, and the service chooses another.
 */
export function acceptableName(name: string): string {
  return keptName(name);
}

/** The path with its last part, the file's name, as the service keeps it. */
export function acceptablePath(path: string): string {
  return withName(path, acceptableName(path.slice(path.lastIndexOf('/') + 1)));
}

/** The path with its last part, the file's name, replaced. */
export function withName(path: string, name: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1) + name;
}
