/** Which name a file gets whose upload was begun under another name. */
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson } from '../../server/wire/files.ts';
import { cleanName } from '../../server/wire/labels.ts';
import { isMethodRefusal, type Refusal } from './refusals.ts';

/** How an upload was begun that a client resumes. */
export interface Begun {
  /** The declared name; null where none was declared. */
  name: string | null;
  /** This client began it, in a run or a life of the page that has ended. */
  isOurs: boolean;
}

/**
 * The name that the service keeps for a given one. A name of which nothing would be left is sent as it is: the service
 * finds a name for its file.
 */
export function keptName(name: string): string {
  return cleanName(name) ?? name;
}

/**
 * What is left to do for the published file to have the wanted name.
 *
 * - `rename`: an ended run of ours began the upload. There is one file, with the wanted name.
 * - `add`: another client began it, or the file has been renamed since: it keeps its name, and the content gets a second file.
 *
 * @param published - the name of the published file.
 * @param begun - null where the upload was begun just now, with the wanted name.
 */
export function nextForName(published: string, wanted: string, begun: Begun | null): 'keep' | 'rename' | 'add' {
  if (begun === null || published === keptName(wanted)) return 'keep';
  const begunAs = begun.name === null ? null : keptName(begun.name);
  if (begunAs === keptName(wanted)) return 'keep';
  return begun.isOurs && published === begunAs ? 'rename' : 'add';
}

/** What is asked of the service to name a file. */
export interface NamingService {
  /** @returns null where the file can have no other name; see `isRenameRefusal`. */
  rename(id: string, name: string): Promise<FileJson | null>;
  /** Gives the content a second file with this name. */
  checkAs(name: string): Promise<CheckJson>;
}

/**
 * Makes sure that there is a file with the wanted name.
 *
 * @returns null when the service gives no second name to what it has (INSTANT=off).
 */
export async function giveName(
  file: FileJson,
  wanted: string,
  begun: Begun | null,
  service: NamingService,
): Promise<FileJson | null> {
  const name = keptName(wanted);
  const next = nextForName(file.name, name, begun);
  if (next === 'keep') return file;
  const renamed = next === 'rename' ? await service.rename(file.id, name) : null;
  if (renamed) return renamed;
  const answer = await service.checkAs(name);
  return (answer.status === 'exists' && answer.file) || null;
}

/** Whether a file can have no other name: the new name cannot be kept, or PATCH does not get through. */
export function isRenameRefusal({ status, code }: Refusal): boolean {
  return code === 'invalid_field' || isMethodRefusal('PATCH', status);
}
