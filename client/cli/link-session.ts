/**
 * A link as this command uses it: its tickets, which are kept for a later run, so that a download that was interrupted is
 * continued also where the link is for one download, and without its password.
 */
import { join } from 'node:path';
import type { SharedJson } from '../../server/wire/links.ts';
import type { LinkAddress } from '../core/addresses.ts';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import { ask, type Context } from './context.ts';
import { ServiceError } from './errors.ts';
import { noSuchLink } from './link-calls.ts';
import { createServiceClient, type Download, type ServiceClient } from './service-client.ts';

/** As long as the service's tickets are good. */
const KEEP_MS = 24 * 3600 * 1000;
const TICKET = /^(tidemark_link=[\w.-]{1,200}); Path=([^;]+)/;
/** With these refusals the link itself cannot be looked at, and a download that has begun may still continue. */
const BEGUN_ONLY = new Set(['link_used_up', 'password_required']);

interface Kept {
  /** Cookies by their paths below the service's base. */
  tickets: Record<string, string>;
  shared: SharedJson | null;
}

export interface LinkSession {
  /** The command's context, for this link: requests go to its service, with its tickets, and without the user's token. */
  readonly context: Context;
  /** What the link has. @throws ServiceError `password_required`, `link_expired`…; CliError `not_found`. */
  look(): Promise<SharedJson>;
  /** @throws ServiceError `wrong_password`, `too_many_attempts`. */
  unlock(password: string): Promise<void>;
  /** The address of a file of the link, or of its archive, at the host that the user has given. */
  urlOf(target: number | 'archive'): string;
  /** How large the archive is; null where it is not known. */
  archiveSize(): Promise<number | null>;
  /** Forgets the tickets: all is downloaded. */
  end(): Promise<void>;
}

export async function openLinkSession({ base, path }: LinkAddress, context: Context): Promise<LinkSession> {
  const records = createRecordFolder<Kept>(join(stateFolder(), 'links'), { durable: false });
  const key = [base, path];
  await records.prune(KEEP_MS);
  const kept = readKept(await records.read(key));
  const plain = createServiceClient({ ...context.service.settings, serverUrl: base, token: null });
  const { signal } = context;

  async function keep(): Promise<void> {
    // A read-only home must not stop a download.
    await records.write(key, kept).catch(() => undefined);
  }

  async function take(setCookies: readonly string[]): Promise<void> {
    for (const text of setCookies) {
      const [, cookie, at = ''] = TICKET.exec(text) ?? [];
      const below = at.lastIndexOf(path);
      if (cookie !== undefined && below >= 0) kept.tickets[at.slice(below)] = cookie;
    }
    if (setCookies.length > 0) await keep();
  }

  /** The tickets for a path: of the link, and of what is downloaded. */
  function cookieFor(at: string): string {
    const paths = Object.keys(kept.tickets).filter((each) => each === at || at.startsWith(`${each}/`));
    return paths.map((each) => kept.tickets[each]).join('; ');
  }

  async function download(url: string, given: Record<string, string>, until: AbortSignal): Promise<Download> {
    const at = url.slice(base.length);
    const cookie = cookieFor(at);
    const headers: Record<string, string> = { ...given, ...(cookie === '' ? {} : { Cookie: cookie }) };
    // Once counted, only a request for a range continues a download.
    if (kept.tickets[at] !== undefined) headers['Range'] ??= 'bytes=0-';
    const answer = await plain.download(url, headers, until);
    await take(answer.setCookies);
    return answer;
  }

  async function look(): Promise<SharedJson> {
    try {
      kept.shared = await ask(ours, null, () => plain.openLink(path, cookieFor(path), signal));
      return kept.shared;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.status === 404) throw noSuchLink();
      const hasBegun = Object.keys(kept.tickets).some((each) => each !== path);
      if (kept.shared && hasBegun && BEGUN_ONLY.has(error.code)) return kept.shared;
      throw error;
    }
  }

  const service: ServiceClient = { ...plain, download };
  const ours: Context = { ...context, service };
  return {
    context: ours,
    look,
    unlock: async (password) => take(await plain.unlockLink(path, password, signal)),
    urlOf: (target) => base + pathOf(path, target),
    archiveSize: () => {
      const at = pathOf(path, 'archive');
      return ask(ours, null, () => plain.linkedSize(at, cookieFor(at), signal));
    },
    end: () => records.remove(key),
  };
}

function pathOf(path: string, target: number | 'archive'): string {
  return `${path}/${target === 'archive' ? target : `files/${target}`}`;
}

/** What is kept may have been damaged. */
function readKept(record: Kept | null): Kept {
  const tickets = Object.entries(record?.tickets ?? {}).filter(([, cookie]) => /^tidemark_link=[\w.-]+$/.test(cookie));
  return { tickets: Object.fromEntries(tickets), shared: record?.shared ?? null };
}
