/** The file that somebody means: by its id, its MD5, an address of it, or its name where only one has that. */
import type { FileJson } from '../../server/wire/files.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { CliError, ServiceError } from './errors.ts';
import { printable } from './format.ts';

/** The most that one request lists. */
const PAGE = 1000;
/** The service searches for no longer text (255 bytes of UTF-8); what is listed is compared in full. */
const SEARCHED_CHARACTERS = 60;
const MOST_NAMED = 5;

/** Whether all files of the same bytes are as good, or one of them is to be changed. */
export type Use = 'read' | 'change';

interface Content {
  md5: string;
  /** `<md5>`, or `<md5>-<variant>`. */
  name: string;
}

/**
 * @throws CliError `not_found`; `ambiguous`, with the ids there are.
 */
export async function findFile(given: string, use: Use, context: Context): Promise<FileJson> {
  const address = readAddress(given);
  if (!address && /^https?:\/\//i.test(given)) {
    throw new CliError('not_found', `${printable(given)} is not the address of a file`);
  }
  if (address?.kind === 'upload') return findByUpload(address.url, given, context);
  const meant = address?.name ?? given;
  const content = address?.kind === 'file' ? null : readContent(meant);
  if (content) return findByContent(content, use, given, context);
  const file = await findById(meant, context);
  if (file) return file;
  if (address) throw notFound(given);
  return findByName(given, context);
}

/** The content that an argument names by its MD5, alone or in an address. */
export function contentNamed(given: string): string | null {
  const address = readAddress(given);
  if (address && address.kind !== 'content') return null;
  return readContent(address?.name ?? given)?.name ?? null;
}

type Address = { kind: 'content' | 'file'; name: string } | { kind: 'upload'; name: string; url: string };

/** An address that the service has handed out, whatever it was called by. */
function readAddress(given: string): Address | null {
  if (!/^https?:\/\//i.test(given) && !given.startsWith('/')) return null;
  if (!URL.canParse(given, 'http://service')) return null;
  const { pathname } = new URL(given, 'http://service');
  const match = /\/(?:(api\/files|files|uploads)\/([^/]+))(?:\/content)?$/.exec(pathname);
  const name = match?.[2];
  if (name === undefined) return null;
  if (match?.[1]?.startsWith('uploads')) return { kind: 'upload', name, url: `/uploads/${name}` };
  return match?.[1]?.startsWith('api')
    ? { kind: 'file', name }
    : { kind: 'content', name: name.split('.', 1)[0] ?? '' };
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
    service.tus({ method: 'HEAD', url, headers, signal }).catch(nullWhenMissing),
  );
  const id = answer?.headers['tidemark-file-id'];
  const file = typeof id === 'string' ? await findById(id, context) : null;
  if (file) return file;
  throw new CliError('not_found', answer ? `the upload ${printable(given)} is not finished` : notFound(given).message);
}

async function findById(id: string, context: Context): Promise<FileJson | null> {
  if (!/^[\w-]{1,64}$/.test(id)) return null;
  return ask(context, null, () => context.service.file(id, context.signal).catch(nullWhenMissing));
}

async function findByContent({ md5, name }: Content, use: Use, given: string, context: Context): Promise<FileJson> {
  const { service, signal } = context;
  if (use === 'read' && name === md5) {
    const answer = await ask(context, null, () => service.check({ md5 }, signal));
    if (answer.status === 'exists' && answer.file) return answer.file;
  }
  // A service may keep to itself what it has (INSTANT=off); our own list always shows it.
  const isMeant = (file: FileJson): boolean => file.md5 === md5 && (name === md5 || contentNamed(file.url) === name);
  const found = await listWhere(isMeant, undefined, context);
  if (found.length > 1 && use === 'change') throw ambiguous(given, found);
  if (found[0]) return found[0];
  throw notFound(given);
}

async function findByName(name: string, context: Context): Promise<FileJson> {
  const search = Array.from(name).slice(0, SEARCHED_CHARACTERS).join('');
  const found = await listWhere((file) => file.name === name, search, context);
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

function nullWhenMissing(error: unknown): null {
  if (error instanceof ServiceError && (error.status === 404 || error.status === 410)) return null;
  throw error;
}

function notFound(given: string): CliError {
  return new CliError('not_found', `there is no file ${printable(given)}`);
}

function ambiguous(given: string, found: FileJson[]): CliError {
  const ids = found.slice(0, MOST_NAMED).map(({ id, name }) => `${id} (${printable(name)})`);
  const more = found.length > MOST_NAMED ? `, and ${found.length - MOST_NAMED} more` : '';
  return new CliError('ambiguous', `${found.length} files are meant by ${printable(given)}: ${ids.join(', ')}${more}`);
}
