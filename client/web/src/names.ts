/** Names of files as the service keeps them: by its own rule. */
import { cleanName } from '../../../server/wire/labels.ts';
import { keptName } from '../../core/naming.ts';

/** Whether a name that a person types can be kept as it is. */
export function isAcceptable(name: string): boolean {
  return cleanName(name) === name;
}

/**
 * The name that the service will give a file; systems allow others than it does. One of which
 * nothing would be left is sent as it is: the service finds a name for its file.
 */
export function acceptableName(name: string): string {
  return keptName(name);
}

/** A path to a file, whose last part is the file's name as it is kept. */
export function acceptablePath(path: string): string {
  return withName(path, acceptableName(path.slice(path.lastIndexOf('/') + 1)));
}

/** The path with another name of the file at its end. */
export function withName(path: string, name: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1) + name;
}
