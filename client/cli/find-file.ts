/** Finds the file that an argument names: by id, MD5 or address, or by a name that only one file has. */
import type { FileJson } from '../../server/wire/files.ts';
import { lastPart } from '../../server/wire/paths.ts';
import { type OwnAddress, readOwnAddress } from '../core/addresses.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { CliError, nullWhenGone } from './errors.ts';
import { printable } from './format.ts';
import { beginningOf } from './searched-name.ts';

/** The most that one request lists. */
const PAGE = 1000;
/** How many ids a message lists. */
const MOST_NAMED = 5;

/** `read`: any file with the same bytes will do. `change`: it must be one particular file. */
export type Use = 'read' | 'change';

interface Content {
  md5: string;
  /** `<md5>`, or `<md5>-<variant>`. */
  name: string;
}

/**
 * Finds the file that an argument names.
 *
 * @throws CliError `not_found`; `ambiguous`, with the ids of the files that match.
 */
export async function findFile(given: string, use: Use, context: Context): Promise<FileJson> {
  const address = readAddress(given);
  if (!address && /^https?:\/\//i.test(given)) {
    throw new CliError('not_found', `${printable(given)} is not the address of a file`);
  }
  if (address?.kind === 'upload') return findByUpload(address.path, given, context);
  const meant = address?.name ?? given;
  const content = address?.kind === 'file' ? null : readContent(meant);
  if (content) return findByContent(content, use, given, context);
  const file = await findById(meant, context);
  if (file) return file;
  if (address) throw notFound(given);
  return findByName(given, context);
}

/** The name of the content (`<md5>` or `<md5>-<variant>`) in an argument that is an MD5 or an address with one; else null. */
export function contentNamed(given: string): string | null {
  const address = readAddress(given);
  if (address && address.kind !== 'content') return null;
  return readContent(address?.name ?? given)?.name ?? null;
}

/** Reads an argument that is an address of the service; null for an id, an MD5, a name, or another address. */
function readAddress(given: string): OwnAddress | null {
  return /^(?:https?:\/\/|\/)/i.test(given) ? readOwnAddress(given) : null;
}

function readContent(text: string): Content | null {
  const match = /^([0-9a-f]{32})(?:-[1-9]\d{0,5})?$/i.exec(text);
  return match ? { md5: (match[1] ?? '').toLowerCase(), name: text.toLowerCase() } : null;
}

async function findByUpload(path: string, given: string, context: Context): Promise<FileJson> {
  const { service, signal } = context;
  const headers = { 'Tus-Resumable': '1.0.0' };
  const url = `${service.settings.serverUrl}${path}`;
  const answer = await ask(context, null, () =>
    service.tus({ method: 'HEAD', url, headers, signal }).catch(nullWhenGone),
  );
  const id = answer?.headers['tidemark-file-id'];
  const file = typeof id === 'string' ? await findById(id, context) : null;
  if (file) return file;
  throw new CliError('not_found', answer ? `the upload ${printable(given)} is not finished` : notFound(given).message);
}

async function findById(id: string, context: Context): Promise<FileJson | null> {
  if (!/^[\w-]{1,64}$/.test(id)) return null;
  return ask(context, null, () => context.service.file(id, context.signal).catch(nullWhenGone));
}

async function findByContent({ md5, name }: Content, use: Use, given: string, context: Context): Promise<FileJson> {
  const { service, signal } = context;
  if (use === 'read' && name === md5) {
    const answer = await ask(context, null, () => service.check({ md5 }, signal));
    if (answer.status === 'exists' && answer.file) return answer.file;
  }
  // With INSTANT=off the service does not say what it has, but it always lists our own files.
  const isMeant = (file: FileJson): boolean => file.md5 === md5 && (name === md5 || contentNamed(file.url) === name);
  const found = await listWhere(isMeant, undefined, context);
  if (found.length > 1 && use === 'change') throw ambiguous(given, found);
  if (found[0]) return found[0];
  throw notFound(given);
}

async function findByName(name: string, context: Context): Promise<FileJson> {
  // The service searches names without their folders.
  const found = await listWhere((file) => file.name === name, beginningOf(lastPart(name)), context);
  if (found.length > 1) throw ambiguous(name, found);
  if (found[0]) return found[0];
  throw notFound(name);
}

async function listWhere(
  isMeant: (file: FileJson) => boolean,
  search: string | undefined,
  context: Context,
): Promise<FileJson[]> {
  const { service, signal } = context;
  const found: FileJson[] = [];
  let cursor: string | undefined;
  do {
    const question = { limit: PAGE, ...(search ? { search } : {}), ...(cursor === undefined ? {} : { cursor }) };
    const page = await ask(context, null, () => service.list(question, signal));
    found.push(...page.files.filter(isMeant));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}

function notFound(given: string): CliError {
  return new CliError('not_found', `there is no file ${printable(given)}`);
}

function ambiguous(given: string, found: FileJson[]): CliError {
  const ids = found.slice(0, MOST_NAMED).map(({ id, name }) => `${id} (${printable(name)})`);
  const more = found.length > MOST_NAMED ? `, and ${found.length - MOST_NAMED} more` : '';
  return new CliError('ambiguous', `${printable(given)} matches ${found.length} files: ${ids.join(', ')}${more}`);
}
