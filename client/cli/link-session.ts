/**
 * A link as this command uses it: its tickets, which are kept for a later run, so that a download that was interrupted is
 * continued also where the link is for one download, and without its password.
 */
import { join } from 'node:path';
import type { SharedJson, SharedLevelJson } from '../../server/wire/links.ts';
import type { LinkAddress } from '../core/addresses.ts';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import { ask, type Context } from './context.ts';
import { ServiceError, UsageError } from './errors.ts';
import { noSuchLink } from './link-calls.ts';
import type { LinkPassword } from './link-password.ts';
import { createServiceClient, type Download, type ServiceClient } from './service-client.ts';

/** As long as the service's tickets are good. */
const KEEP_MS = 24 * 3600 * 1000;
const TICKET = /^(tidemark_link=[\w.-]{1,200}); Path=([^;]+)/;

interface Kept {
  /** Cookies by their paths below the service's base. */
  tickets: Record<string, string>;
  shared: SharedJson | null;
  /** What was in its folders, by their addresses. */
  levels: Record<string, SharedLevelJson>;
}

/** What is downloaded of a link. */
export type LinkTarget = number | 'archive' | { position: number; path: readonly string[] };

export interface LinkSession {
  /** The command's context, for this link: requests go to its service, with its tickets, and without the user's token. */
  readonly context: Context;
  /**
   * What the link has; what it had, where it cannot be looked at any more, and a download that has begun may still continue.
   *
   * @throws ServiceError `link_expired`, `wrong_password`…; CliError `not_found`; UsageError where it has a password, and there
   *   is none to try.
   */
  look(): Promise<SharedJson>;
  /** What is in a folder of the link; what was, as `look`. @param way - from that folder down. @param search - of the page. */
  level(position: number, way: readonly string[], search: string): Promise<SharedLevelJson>;
  /** The address of a file of the link, or of its archive, at the host that the user has given. */
  urlOf(target: LinkTarget): string;
  /** How large the archive is; null where it is not known. */
  archiveSize(): Promise<number | null>;
  /** Forgets the tickets: all is downloaded. */
  end(): Promise<void>;
}

interface Tickets {
  readonly kept: Kept;
  /** Keeps those of an answer. */
  readonly take: (setCookies: readonly string[]) => Promise<void>;
  /** Those for a path: of the link, and of what is downloaded. */
  readonly cookieFor: (at: string) => string;
  end(): Promise<void>;
}

async function openTickets(base: string, path: string): Promise<Tickets> {
  const records = createRecordFolder<Omit<Kept, 'levels'>>(join(stateFolder(), 'links'), { durable: false });
  // By themselves: they may be long, and there are new tickets with every file.
  const levelRecords = createRecordFolder<Kept['levels']>(join(stateFolder(), 'link-levels'), { durable: false });
  const key = [base, path];
  await records.prune(KEEP_MS);
  await levelRecords.prune(KEEP_MS);
  const kept: Kept = { ...readKept(await records.read(key)), levels: (await levelRecords.read(key)) ?? {} };
  let levelsKept = Object.keys(kept.levels).length;

  async function take(setCookies: readonly string[]): Promise<void> {
    for (const text of setCookies) {
      const [, cookie, at = ''] = TICKET.exec(text) ?? [];
      const below = at.lastIndexOf(path);
      if (cookie !== undefined && below >= 0) kept.tickets[at.slice(below)] = cookie;
    }
    // A read-only home must not stop a download.
    if (setCookies.length > 0) await write().catch(() => undefined);
  }

  async function write(): Promise<void> {
    const { levels, ...short } = kept;
    await records.write(key, short);
    const count = Object.keys(levels).length;
    if (count === levelsKept) return;
    await levelRecords.write(key, levels);
    levelsKept = count;
  }

  function cookieFor(at: string): string {
    const paths = Object.keys(kept.tickets).filter((each) => each === at || at.startsWith(`${each}/`));
    return paths.map((each) => kept.tickets[each]).join('; ');
  }

  return {
    kept,
    take,
    cookieFor,
    end: () => Promise.all([records.remove(key), levelRecords.remove(key)]).then(() => undefined),
  };
}

/** @param password - is tried whenever the service asks for one, also in the middle: its ticket is good for an hour. */
export async function openLinkSession(
  { base, path }: LinkAddress,
  password: LinkPassword,
  context: Context,
): Promise<LinkSession> {
  const tickets = await openTickets(base, path);
  const { kept, take, cookieFor } = tickets;
  const plain = createServiceClient({ ...context.service.settings, serverUrl: base, token: null });
  const { signal } = context;
  const archive = pathOf(path, 'archive');

  async function sendPassword(text: string): Promise<void> {
    try {
      await take(await plain.unlockLink(path, text, signal));
    } catch (error) {
      throw error instanceof ServiceError && error.status === 404 ? noSuchLink() : error;
    }
  }

  /** Asks once more where the link had to be unlocked for it. */
  async function unlocking<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (!isLocked(error) || !password.canBeHad) throw error;
      await password.unlock(sendPassword);
      return request();
    }
  }

  function download(url: string, given: Record<string, string>, until: AbortSignal): Promise<Download> {
    const at = url.slice(base.length);
    return unlocking(async () => {
      const cookie = cookieFor(at);
      const headers: Record<string, string> = { ...given, ...(cookie === '' ? {} : { Cookie: cookie }) };
      // Once counted, only a request for a range continues a download. Of an empty file there is none.
      if (kept.tickets[at] !== undefined && !isEmpty(kept, at)) headers['Range'] ??= 'bytes=0-';
      const answer = await plain.download(url, headers, until);
      await take(answer.setCookies);
      return answer;
    });
  }

  /** Asks for what the link has. @param known - what it had. */
  async function lookAt<T>(known: T | null | undefined, request: () => Promise<T>): Promise<T> {
    try {
      return await unlocking(() => ask(ours, null, request));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.status === 404) throw noSuchLink();
      const isShut = isLocked(error) || error.code === 'link_used_up';
      const hasBegun = Object.keys(kept.tickets).some((each) => each !== path);
      if (known && hasBegun && isShut) return known;
      if (isLocked(error)) throw new UsageError('The link has a password: --password-file names a file that has it.');
      throw error;
    }
  }

  const look = async (): Promise<SharedJson> =>
    (kept.shared = await lookAt(kept.shared, () => plain.openLink(path, cookieFor(path), signal)));

  async function level(position: number, way: readonly string[], search: string): Promise<SharedLevelJson> {
    const at = [`${path}/folders/${position}`, ...way.map(encodeURIComponent)].join('/') + search;
    const read = await lookAt(kept.levels[at], () => plain.openLevel(at, cookieFor(path), signal));
    kept.levels[at] = read;
    return read;
  }

  const service: ServiceClient = { ...plain, download };
  const ours: Context = { ...context, service };
  return {
    context: ours,
    look,
    level,
    urlOf: (target) => base + pathOf(path, target),
    archiveSize: () => ask(ours, null, () => plain.linkedSize(archive, cookieFor(archive), signal)),
    end: () => tickets.end(),
  };
}

function pathOf(path: string, target: LinkTarget): string {
  if (target === 'archive') return `${path}/archive`;
  if (typeof target === 'number') return `${path}/files/${target}`;
  return [`${path}/files/${target.position}`, ...target.path.map(encodeURIComponent)].join('/');
}

function isLocked(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'password_required';
}

/** Whether a file without a byte is at this path. */
function isEmpty({ shared, levels }: Kept, at: string): boolean {
  const isSingle = shared?.files.some(({ position, size }) => size === 0 && at.endsWith(`/files/${position}`)) ?? false;
  if (isSingle) return true;
  return Object.values(levels).some(({ files }) => files.some(({ url, size }) => size === 0 && url.endsWith(at)));
}

/** What is kept may have been damaged. */
function readKept(record: Omit<Kept, 'levels'> | null): Omit<Kept, 'levels'> {
  const tickets = Object.entries(record?.tickets ?? {}).filter(([, cookie]) => /^tidemark_link=[\w.-]+$/.test(cookie));
  return { tickets: Object.fromEntries(tickets), shared: record?.shared ?? null };
}
