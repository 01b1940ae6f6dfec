/** `tidemark share`, `links`, `unshare`: makes download links, lists them, and revokes them. get-link.ts opens them. */
import type { DownloadLinkJson, LinkJson, NewLinkJson, UploadLinkJson } from '../../../server/wire/links.ts';
import { ask, type Context } from '../context.ts';
import { CliError, codeOf, describeError, EXIT, ServiceError } from '../errors.ts';
import { findFile } from '../find-file.ts';
import { isHopeless } from '../first-contact.ts';
import { printable } from '../format.ts';

export interface ShareOptions {
  /** Null: until it is revoked. */
  expiresInSeconds: number | null;
  password: string | null;
  downloads: number | null;
  name: string | null;
}

/** The most links in one request. */
const PAGE = 100;

/** Makes one link to all of these files, and prints its address. */
export async function runShare(given: readonly string[], options: ShareOptions, context: Context): Promise<number> {
  const { output, service, signal } = context;
  const ids: string[] = [];
  // Of equal files it must be the one that is meant: the link shows its name.
  for (const one of given) ids.push((await findFile(one, 'change', context)).id);
  const wanted: NewLinkJson = {
    files: ids,
    name: options.name,
    expiresIn: options.expiresInSeconds,
    password: options.password,
    downloads: options.downloads,
  };
  const link = await ask(context, null, () => service.createLink(wanted, signal));
  if (output.modes.json) {
    output.record(link);
    return EXIT.done;
  }
  if (link.kind !== 'download') throw new CliError('protocol', 'the service has made a link of another kind');
  output.say(
    `${link.files === 1 ? 'A file' : `${link.files} files`}: ${conditionsOf(link)}. The address is shown this once:`,
  );
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
function describeDownloads({ downloads, mostDownloads, files, name, firstFile }: DownloadLinkJson): [string, string] {
  const more = files > 1 ? ` and ${files - 1} more` : '';
  const used = `${downloads}${mostDownloads === null ? '' : `/${mostDownloads}`}`;
  return [used, name ?? (firstFile === null ? '' : firstFile + more)];
}

/** How many files were sent, and where to. */
function describeUploads({ files, maxFiles, name, folder }: UploadLinkJson): [string, string] {
  const used = `${files}${maxFiles === null ? '' : `/${maxFiles}`}`;
  return [used, `→ ${folder}/${name === null ? '' : ` (${name})`}`];
}

export function minuteOf(iso: string): string {
  return iso.replace('T', ' ').slice(0, 16);
}
