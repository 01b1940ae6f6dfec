/** Which name a published file gets where its upload was begun under another name. */
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson } from '../../server/wire/files.ts';
import { cleanName } from '../../server/wire/labels.ts';
import { roomForNumber, splitPath } from '../../server/wire/paths.ts';
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
 * - `replace`: the same, and another file that has the name gives way: a renamed file would get a number.
 * - `add`: another client began it, or the file has been renamed since. It keeps its name, and the content gets a second file.
 *
 * @param published - the name of the published file.
 * @param begun - null where the upload was begun just now, with the wanted name.
 * @param replaces - whether another file that has the wanted name is replaced.
 */
export function nextForName(
  published: string,
  wanted: string,
  begun: Begun | null,
  replaces = false,
): 'keep' | 'rename' | 'replace' | 'add' {
  if (begun === null || published === keptName(wanted)) return 'keep';
  const begunAs = begun.name === null ? null : keptName(begun.name);
  // Where the name is taken, the file keeps its number.
  if (!replaces && begunAs === keptName(wanted)) return 'keep';
  if (!begun.isOurs || begunAs === null || !isNameFor(begunAs, published)) return 'add';
  return replaces ? 'replace' : 'rename';
}

/** Whether a file of this name may have been published as that: it gets a number where the name is taken. */
function isNameFor(name: string, published: string): boolean {
  if (name === published) return true;
  const [one, other] = [splitPath(name), splitPath(published)];
  const [stem, extension] = roomForNumber(one.name);
  const { length } = other.name;
  return (
    one.folders.join('/') === other.folders.join('/') &&
    other.name.startsWith(`${stem} (`) &&
    other.name.endsWith(`)${extension}`) &&
    /^[1-9]\d*$/.test(other.name.slice(stem.length + 2, length - extension.length - 1))
  );
}

/** The requests with which a client names a file. */
export interface NamingService {
  /** @returns null where the service does not rename the file; see `isRenameRefusal`. */
  rename(id: string, name: string): Promise<FileJson | null>;
  /** Gives the content a second file with this name. */
  checkAs(name: string): Promise<CheckJson>;
  /** There where another file that has the name is replaced, which `checkAs` does then: deletes a file of ours. */
  remove?(id: string): Promise<void>;
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
  const next = nextForName(file.name, name, begun, service.remove !== undefined);
  if (next === 'keep') return file;
  const renamed = next === 'rename' ? await service.rename(file.id, name) : null;
  if (renamed) return renamed;
  const answer = await service.checkAs(name);
  const named = (answer.status === 'exists' && answer.file) || null;
  // Not before there is another one.
  if (next === 'replace' && named && named.id !== file.id) await service.remove?.(file.id);
  return named;
}

/** Whether a refused rename is final: the service does not accept the name, or something on the way blocks PATCH. */
export function isRenameRefusal({ status, code }: Refusal): boolean {
  return code === 'invalid_field' || isMethodRefusal('PATCH', status);
}
