/** `tidemark share`, `links`, `unshare`: makes download links, lists them, and revokes them. get-link.ts opens them. */
import type { DownloadLinkJson, LinkJson, NewLinkJson, UploadLinkJson } from '../../../server/wire/links.ts';
import { ask, type Context } from '../context.ts';
import { CliError, codeOf, describeError, EXIT, ServiceError } from '../errors.ts';
import { isHopeless } from '../first-contact.ts';
import { printable } from '../format.ts';
import { findFileOrNone, folderPath, isNotThere, notThere } from './folders.ts';

export interface ShareOptions {
  /** Null: until it is revoked. */
  expiresInSeconds: number | null;
  password: string | null;
  downloads: number | null;
  name: string | null;
}

/** The most links in one request. */
const PAGE = 100;

/** Makes one link to all of these files and folders, and prints its address. */
export async function runShare(given: readonly string[], options: ShareOptions, context: Context): Promise<number> {
  const { output, service, signal } = context;
  const ids: string[] = [];
  const folders: string[] = [];
  for (const one of given) {
    // Of equal files it must be the one that is meant: the link shows its name.
    const file = one.endsWith('/') ? null : await findFileOrNone(one, context);
    if (file) ids.push(file.id);
    else folders.push(folderPath(one));
  }
  const wanted: NewLinkJson = {
    ...(ids.length > 0 ? { files: ids } : {}),
    ...(folders.length > 0 ? { folders } : {}),
    name: options.name,
    expiresIn: options.expiresInSeconds,
    password: options.password,
    downloads: options.downloads,
  };
  const link = await ask(context, null, () => service.createLink(wanted, signal)).catch((error: unknown) => {
    if (folders.length === 0 || !isNotThere(error)) throw error;
    // What has no slash at its end may be meant as a file.
    const isFolder = given.some((one) => one.endsWith('/'));
    throw notThere(folders.join(', '), error, isFolder ? 'folder' : 'file or folder');
  });
  if (output.modes.json) {
    output.record(link);
    return EXIT.done;
  }
  if (link.kind !== 'download') throw new CliError('protocol', 'the service has made a link of another kind');
  output.say(`${whatOf(link)}: ${conditionsOf(link)}. The address is shown this once:`);
  output.result(printable(link.url));
  return EXIT.done;
}

/** Prints up to `limit` links, the newest first. */
export async function runLinks({ limit }: { limit: number }, context: Context): Promise<number> {
  const { output, service, signal } = context;
  let left = limit;
  let cursor: string | null = null as string | null;
  let shown = 0;
  do {
    const question = { limit: Math.min(PAGE, left), ...(cursor === null ? {} : { cursor }) };
    const page = await ask(context, null, () => service.links(question, signal));
    for (const link of page.links.slice(0, left)) {
      if (output.modes.json) output.record(link);
      else output.result(output.modes.quiet ? link.id : lineOf(link));
    }
    shown += page.links.length;
    left -= page.links.length;
    cursor = page.links.length === 0 ? null : page.nextCursor;
  } while (cursor !== null && left > 0 && !output.stdoutClosed());
  if (shown === 0) output.say('No links.');
  else if (cursor !== null) output.say(`There are more; --limit ${limit * 2} shows them.`);
  return EXIT.done;
}

/** Revokes links. Continues after one that cannot be revoked. */
export async function runUnshare(ids: readonly string[], context: Context): Promise<number> {
  const { output, service, signal } = context;
  let failed = 0;
  for (const id of ids) {
    try {
      await ask(context, id, async (attempt) => {
        try {
          await service.revokeLink(id, signal);
        } catch (error) {
          // The first attempt may have revoked it, and its answer got lost.
          if (attempt > 0 && error instanceof ServiceError && error.status === 404) return;
          throw error;
        }
      });
      if (output.modes.json) output.record({ id, status: 'revoked' });
      else output.say(`${id}: revoked`);
    } catch (error) {
      signal.throwIfAborted();
      if (isHopeless(error)) throw error;
      failed += 1;
      const isNone = error instanceof ServiceError && error.status === 404;
      const message = isNone ? 'there is no such link, or it is revoked already' : describeError(error);
      output.complain(`${id}: ${message}`);
      if (output.modes.json) output.record({ id, status: 'failed', error: { code: codeOf(error), message } });
    }
  }
  return failed === 0 ? EXIT.done : EXIT.failed;
}

function whatOf({ files, folders }: DownloadLinkJson): string {
  const count = files === 1 ? 'A file' : `${files} files`;
  if (folders === 0) return count;
  return `${count}, and what will be in ${folders === 1 ? 'the folder' : `the ${folders} folders`}`;
}

function conditionsOf({ expiresAt, mostDownloads, hasPassword }: DownloadLinkJson): string {
  return [
    expiresAt === null ? 'until it is revoked' : `until ${minuteOf(expiresAt)}`,
    ...(mostDownloads === null ? [] : [mostDownloads === 1 ? 'one download' : `${mostDownloads} downloads`]),
    ...(hasPassword ? ['with a password'] : []),
  ].join(', ');
}

const STATES = {
  active: 'active',
  expired: 'expired',
  used_up: 'used up',
  empty: 'empty',
  revoked: 'revoked',
} as const satisfies Record<LinkJson['state'], string>;

function lineOf(link: LinkJson): string {
  const { id, state, expiresAt } = link;
  const until = expiresAt === null ? '-'.padEnd(16) : minuteOf(expiresAt);
  const [used, what] = link.kind === 'upload' ? describeUploads(link) : describeDownloads(link);
  return `${id}  ${(STATES[state] ?? state).padEnd(7)}  ${used.padStart(7)}  ${until}  ${printable(what)}`;
}

/** How often it was used, and for what. */
function describeDownloads(link: DownloadLinkJson): [string, string] {
  const { downloads, mostDownloads, files, name, firstFile, firstFolder } = link;
  const used = `${downloads}${mostDownloads === null ? '' : `/${mostDownloads}`}`;
  const first = firstFolder === null ? firstFile : `${firstFolder}/`;
  const more = firstFolder === null && files > 1 ? ` and ${files - 1} more` : '';
  return [used, name ?? (first === null ? '' : first + more)];
}

/** How many files were sent, and where to. */
function describeUploads({ files, maxFiles, name, folder }: UploadLinkJson): [string, string] {
  const used = `${files}${maxFiles === null ? '' : `/${maxFiles}`}`;
  return [used, `→ ${folder}/${name === null ? '' : ` (${name})`}`];
}

export function minuteOf(iso: string): string {
  return iso.replace('T', ' ').slice(0, 16);
}
