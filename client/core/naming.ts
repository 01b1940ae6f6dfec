/** Which name a published file gets where its upload was begun under another name. */
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson } from '../../server/wire/files.ts';
import { cleanName } from '../../server/wire/labels.ts';
import { isMethodRefusal, type Refusal } from './refusals.ts';

/** How the upload that a client resumes was begun. */
export interface Begun {
  /** The declared name; null where none was declared. */
  name: string | null;
  /** An earlier run of this command, or an earlier visit to this page, began it. */
  isOurs: boolean;
}

/**
 * The name under which the service stores a file of the given name. Where cleaning would leave nothing of it, the name
 * itself: the client sends it as it is, and the service chooses one.
 */
export function keptName(name: string): string {
  return cleanName(name) ?? name;
}

/**
 * What gives the published content a file with the wanted name.
 *
 * - `keep`: the file has it already.
 * - `rename`: an earlier run of ours began the upload, so the file is ours alone: it is renamed.
 * - `add`: another client began it, or the file has been renamed since. It keeps its name, and the content gets a second file.
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

/** The requests with which a client names a file. */
export interface NamingService {
  /** @returns null where the service does not rename the file; see `isRenameRefusal`. */
  rename(id: string, name: string): Promise<FileJson | null>;
  /** Gives the content a second file with this name. */
  checkAs(name: string): Promise<CheckJson>;
}

/**
 * Makes sure that there is a file with the wanted name.
 *
 * @returns that file; null where the service does not add a second file to a content without its bytes (INSTANT=off).
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

/** Whether a refused rename is final: the service does not accept the name, or something on the way blocks PATCH. */
export function isRenameRefusal({ status, code }: Refusal): boolean {
  return code === 'invalid_field' || isMethodRefusal('PATCH', status);
}
