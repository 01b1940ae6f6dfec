/** Which name the file of an upload gets that was begun by another one. The same for the command and the page. */
import { cleanName } from '../../server/wire/labels.ts';
import { isMethodRefusal } from './refusals.ts';

/** How an upload was begun that somebody goes on with. */
export interface Begun {
  /** As it was declared; null where it was given none. */
  name: string | null;
  /** By this client, in a run or a life of the page that has ended. */
  isOurs: boolean;
}

/**
 * The name that the service keeps for one that is given. One of which nothing would be left is
 * sent as it is: the service finds a name for its file.
 */
export function keptName(name: string): string {
  return cleanName(name) ?? name;
}

/**
 * What is left to be done for the published file to have the name given now.
 *
 * - `rename`: what an ended run of ours began. There is one file, by the name given now.
 * - `add`: what somebody else began, or has renamed since, keeps its name. The content gets a
 *   second file.
 *
 * @param published - the name of the published file.
 * @param begun - null where the upload was begun just now, by this name.
 */
export function nextForName(published: string, wanted: string, begun: Begun | null): 'keep' | 'rename' | 'add' {
  if (begun === null || published === keptName(wanted)) return 'keep';
  const begunAs = begun.name === null ? null : keptName(begun.name);
  if (begunAs === keptName(wanted)) return 'keep';
  return begun.isOurs && published === begunAs ? 'rename' : 'add';
}

/** Whether a file can have no other name: the new one is none that can be kept, or PATCH does not get through. */
export function isRenameRefusal({ status, code }: { status: number; code: string }): boolean {
  return code === 'invalid_field' || isMethodRefusal('PATCH', status);
}
