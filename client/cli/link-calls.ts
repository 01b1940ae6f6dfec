/** The service's API of links as functions: one call is one request. */
import type {
  CreatedLinkJson,
  LinkPageJson,
  NewLinkJson,
  NewUploadLinkJson,
  RequestedJson,
  SentJson,
  SharedFileJson,
  SharedFolderJson,
  SharedJson,
  SharedLevelJson,
} from '../../server/wire/links.ts';
import { CliError } from './errors.ts';
import type { Answer } from './http.ts';

/** Sends a request to the service. @throws ServiceError for a status that is not `expected`, and not 2xx. */
export type Call = (
  method: string,
  path: string,
  signal: AbortSignal,
  options?: {
    query?: Record<string, string | number | undefined>;
    json?: unknown;
    form?: Record<string, string>;
    headers?: Record<string, string>;
    expected?: number;
  },
) => Promise<Answer>;

/** Reads an answer. @throws CliError `protocol` where it is not as expected. */
export type ReadJson = <T>(answer: Answer, isExpected: (value: Record<string, unknown>) => boolean) => T;

export interface LinkCalls {
  createLink(link: NewLinkJson | NewUploadLinkJson, signal: AbortSignal): Promise<CreatedLinkJson>;
  links(question: { limit: number; cursor?: string }, signal: AbortSignal): Promise<LinkPageJson>;
  revokeLink(id: string, signal: AbortSignal): Promise<void>;
  /** What a link has. @param path - `/s/<secret>`. @param cookie - its tickets. */
  openLink(path: string, cookie: string, signal: AbortSignal): Promise<SharedJson>;
  /** One level of a folder of a link. @param path - `/s/<secret>/folders/…`, with its query. */
  openLevel(path: string, cookie: string, signal: AbortSignal): Promise<SharedLevelJson>;
  /** What an upload link takes. @param path, cookie - as `openLink`. */
  openRequest(path: string, cookie: string, signal: AbortSignal): Promise<RequestedJson>;
  /** An upload by a link. @param path - `/s/<secret>/uploads/<id>`. */
  sent(path: string, signal: AbortSignal): Promise<SentJson>;
  /** @returns the Set-Cookie headers, which have the ticket. */
  unlockLink(path: string, password: string, signal: AbortSignal): Promise<string[]>;
  /** How large the bytes at an address of a link are; null where something on the way does not say. */
  linkedSize(path: string, cookie: string, signal: AbortSignal): Promise<number | null>;
}

export function createLinkCalls(call: Call, readJson: ReadJson): LinkCalls {
  const cookies = (cookie: string): Record<string, string> => (cookie === '' ? {} : { Cookie: cookie });

  return {
    createLink: async (json, signal) =>
      readJson<CreatedLinkJson>(
        await call('POST', '/api/links', signal, { json }),
        (value) => typeof value['id'] === 'string' && typeof value['url'] === 'string',
      ),
    links: async (question, signal) =>
      readJson<LinkPageJson>(await call('GET', '/api/links', signal, { query: { ...question } }), (value) =>
        Array.isArray(value['links']),
      ),
    revokeLink: async (id, signal) => {
      await call('DELETE', `/api/links/${encodeURIComponent(id)}`, signal);
    },
    openLink: async (path, cookie, signal) =>
      readJson<SharedJson>(ofKind(await call('GET', path, signal, { headers: cookies(cookie) }), 'download'), isShared),
    openLevel: async (path, cookie, signal) =>
      readJson<SharedLevelJson>(await call('GET', path, signal, { headers: cookies(cookie) }), isLevel),
    openRequest: async (path, cookie, signal) =>
      readJson<RequestedJson>(
        ofKind(await call('GET', path, signal, { headers: cookies(cookie) }), 'upload'),
        (value) => typeof value['uploadUrl'] === 'string',
      ),
    sent: async (path, signal) =>
      readJson<SentJson>(await call('GET', path, signal), (value) => typeof value['state'] === 'string'),
    unlockLink: async (path, password, signal) => {
      const { headers } = await call('POST', path, signal, { form: { password }, expected: 303 });
      return headers['set-cookie'] ?? [];
    },
    linkedSize: async (path, cookie, signal) => {
      const { headers } = await call('HEAD', path, signal, { headers: cookies(cookie) });
      const length = headers['content-length'];
      return length === undefined ? null : Number(length);
    },
  };
}

/** @throws CliError `wrong_link` for a link of the other kind. */
function ofKind(answer: Answer, kind: 'download' | 'upload'): Answer {
  const isUpload = /^\s*\{\s*"kind"\s*:\s*"upload"/.test(answer.body);
  if (isUpload && kind === 'download')
    throw new CliError('wrong_link', 'by this link files are sent: tidemark upload --to <link> <path...>');
  if (!isUpload && kind === 'upload')
    throw new CliError('wrong_link', 'by this link files are downloaded: tidemark get <link>');
  return answer;
}

function isShared(value: Record<string, unknown>): boolean {
  // Services before folders could be shared leave them out.
  const { files, folders = [], archiveUrl } = value as Partial<Record<keyof SharedJson, unknown>>;
  return (
    Array.isArray(files) &&
    files.every((file) => isSharedFile(file) && Number.isSafeInteger((file as SharedFileJson).position)) &&
    Array.isArray(folders) &&
    folders.every((folder) => isNamed(folder) && Number.isSafeInteger((folder as SharedFolderJson).position)) &&
    typeof archiveUrl === 'string'
  );
}

function isLevel(value: Record<string, unknown>): boolean {
  const { files, folders, nextUrl } = value as Partial<Record<keyof SharedLevelJson, unknown>>;
  const isNext = nextUrl === null || (typeof nextUrl === 'string' && URL.canParse(nextUrl));
  return (
    Array.isArray(files) && files.every(isSharedFile) && Array.isArray(folders) && folders.every(isNamed) && isNext
  );
}

function isNamed(folder: unknown): boolean {
  return typeof folder === 'object' && folder !== null && typeof (folder as { name?: unknown }).name === 'string';
}

/** What a link tells comes from others: what is downloaded is compared with it, and its names become paths. */
function isSharedFile(file: unknown): boolean {
  if (typeof file !== 'object' || file === null) return false;
  const { name, md5, size } = file as Record<string, unknown>;
  return (
    typeof name === 'string' && typeof md5 === 'string' && /^[0-9a-f]{32}$/.test(md5) && Number.isSafeInteger(size)
  );
}

/** Says in plain words that there is no such link. */
export function noSuchLink(): CliError {
  return new CliError('not_found', 'there is no such link: its address may be incomplete, or it was withdrawn');
}
