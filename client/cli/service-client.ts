/** The service's HTTP API as functions. One call is one request; the caller retries. */
import type { IncomingMessage } from 'node:http';
import type { CheckJson, ProofJson } from '../../server/wire/check.ts';
import type {
  DeletedJson,
  FileJson,
  FilePageJson,
  FileSortJson,
  FolderJson,
  MoveJson,
  OnConflictJson,
  RenameJson,
} from '../../server/wire/files.ts';
import { ownPath } from '../core/addresses.ts';
import { tellsOffset } from '../core/offset-told.ts';
import { isMethodRefusal, isTransientRefusal, readRefusal } from '../core/refusals.ts';
import type { Offers } from '../core/upload-parts.ts';
import { readRetryAfter } from '../core/waits.ts';
import { isRefusedOnTheWay, REQUEST_TOO_LARGE } from '../core/request-size.ts';
import { CliError, OtherFormError, ServiceError } from './errors.ts';
import { explainFailure, explainRefusal, explainStoreFailure } from './first-contact.ts';
import { exchange, open, readBody } from './http.ts';
import type { Answer, Body } from './http.ts';
import { formatSize, printable } from './format.ts';
import { createLinkCalls, type LinkCalls } from './link-calls.ts';
import { proxyHostFor } from './proxy.ts';
import { createQuotaCalls, type QuotaCalls } from './quota-calls.ts';
import { createRequestSize } from './request-size.ts';
import type { RequestSize } from './request-size.ts';
import type { Settings } from './settings.ts';
import { createTrashCalls, type TrashCalls } from './trash-calls.ts';

export interface CheckQuestion {
  md5: string;
  size?: number;
  sha256?: string;
  /** Where the service has the content, it adds a file of ours with this name. */
  filename?: string;
  /** Asks for a challenge where others may have the content; needs `size` and `sha256`. */
  prove?: true;
  /** What becomes of another file that has the name. */
  onconflict?: OnConflictJson;
}

export interface ListQuestion {
  limit: number;
  cursor?: string;
  search?: string;
  sort?: FileSortJson;
  order?: 'asc' | 'desc';
  /** The path of a folder: only what is in it. */
  prefix?: string;
  /** With `prefix`: all files below it. */
  recursive?: 'true';
}

/** Each function throws ServiceError for a refusal, TransportError for a failure of the connection, or a CliError. */
export interface ServiceClient extends LinkCalls, QuotaCalls, TrashCalls {
  readonly settings: Settings;
  /** Where new uploads are created. */
  readonly uploadsUrl: string;
  readonly requestSize: RequestSize;
  check(question: CheckQuestion, signal: AbortSignal): Promise<CheckJson>;
  prove(proof: ProofJson, signal: AbortSignal): Promise<CheckJson>;
  list(question: ListQuestion, signal: AbortSignal): Promise<FilePageJson>;
  file(id: string, signal: AbortSignal): Promise<FileJson>;
  rename(id: string, name: string, signal: AbortSignal): Promise<FileJson>;
  remove(id: string, signal: AbortSignal): Promise<void>;
  folder(path: string, signal: AbortSignal): Promise<FolderJson>;
  moveFolder(path: string, to: string, signal: AbortSignal): Promise<FolderJson>;
  /** Deletes all that is below it. */
  /** Deletes some of what is in a folder. @param cursor - null: begin. */
  removeFolder(path: string, cursor: string | null, signal: AbortSignal): Promise<DeletedJson>;
  /**
   * Opens a published content. Resolves for 200, 206, 304, 412 and 416; any other status is thrown. Follows a redirect to
   * the service's store, and then the answer is the store's.
   */
  download(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Download>;
  /** Where several files are downloaded as one ZIP file. */
  archiveUrl(ids: readonly string[]): string;
  /** How large that is, in bytes; null where something on the way does not say. */
  archiveSize(ids: readonly string[], signal: AbortSignal): Promise<number | null>;
  /** A request of the tus protocol. Any status but 2xx is thrown. */
  tus(request: TusExchange): Promise<Answer>;
  /** What the service says of itself; nothing where something on the way refuses OPTIONS. */
  offers(signal: AbortSignal): Promise<Offers>;
  /** The same resource, addressed the way this client reaches the service. */
  rebase(url: string): string;
}

export interface Download {
  response: IncomingMessage;
  /** The service's own ETag of this content, even where its store sends the bytes. */
  etag: string | null;
  /** The service's own, too. */
  setCookies: readonly string[];
}

export interface TusExchange {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: Body | undefined;
  signal: AbortSignal;
  /** How many bytes the service may have to read before it can answer: it verifies before it publishes. */
  workBytes?: number;
  onSent?: (bytes: number, totalBytes: number) => void;
}

/** How fast a service with a slow disk reads and hashes. */
const WORK_BYTES_PER_SECOND = 50 * 1024 * 1024;

/** How to reach the service, and what earlier requests have shown. */
interface Connection {
  readonly settings: Settings;
  readonly authorization: Record<string, string>;
  /** The service, or something in front of it, has answered. */
  met: boolean;
  /** Something on the way blocks PATCH, HEAD or DELETE: they are sent as POST (tus 1.0.0, "X-HTTP-Method-Override"). */
  overrides: boolean;
  readonly requestSize: RequestSize;
}

/** @param own - headers of all requests; may be changed later. */
export function createServiceClient(settings: Settings, own: Record<string, string> = {}): ServiceClient {
  const { serverUrl, token } = settings;
  const authorization = token === null ? own : Object.assign(own, { Authorization: `Bearer ${token}` });
  const requestSize = createRequestSize(serverUrl);
  const connection: Connection = { settings, authorization, met: false, overrides: false, requestSize };
  const file = (id: string): string => `/api/files/${encodeURIComponent(id)}`;
  return {
    settings,
    uploadsUrl: `${serverUrl}/uploads`,
    requestSize,
    check: async (question, signal) =>
      readJson<CheckJson>(
        // The service may have to compute a SHA-256 first, or be publishing an upload.
        await call(connection, 'GET', '/check', signal, {
          query: { ...question },
          // The service lets no page of another site replace a file: such a page cannot send this.
          headers: { 'X-Requested-With': 'tidemark' },
          workBytes: question.size ?? 0,
        }),
        isCheckAnswer,
      ),
    prove: async (proof, signal) =>
      readJson<CheckJson>(
        // The service may have to compute a SHA-256.
        await call(connection, 'POST', '/check', signal, { json: proof, workBytes: proof.size }),
        isCheckAnswer,
      ),
    list: async (question, signal) =>
      readJson<FilePageJson>(await call(connection, 'GET', '/api/files', signal, { query: { ...question } }), (value) =>
        Array.isArray(value['files']),
      ),
    file: async (id, signal) => readJson<FileJson>(await call(connection, 'GET', file(id), signal), isFile),
    rename: async (id, name, signal) => {
      const json: RenameJson = { name };
      return readJson<FileJson>(await call(connection, 'PATCH', file(id), signal, { json }), isFile);
    },
    remove: async (id, signal) => {
      await call(connection, 'DELETE', file(id), signal);
    },
    ...createLinkCalls((...given) => call(connection, ...given), readJson),
    ...createQuotaCalls((...given) => call(connection, ...given), readJson),
    ...createTrashCalls((...given) => call(connection, ...given), readJson),
    ...folderCalls(connection),
    download: (url, headers, signal) => download(connection, url, headers, signal),
    archiveUrl: (ids) => `${serverUrl}${archivePath(ids)}`,
    archiveSize: (ids, signal) => archiveSize(connection, ids, signal),
    tus: (request) => tus(connection, request),
    offers: (signal) => offers(connection, signal),
    rebase: (url) => rebase(connection, url),
  };
}

/** Waits for an answer. @throws the error of a failed connection, explained. */
async function reaching<T>(connection: Connection, answer: Promise<T>): Promise<T> {
  try {
    const given = await answer;
    connection.met = true;
    return given;
  } catch (error) {
    const { serverUrl, persistent } = connection.settings;
    throw explainFailure(error, { serverUrl, proxy: proxyHostFor(serverUrl), met: connection.met, persistent });
  }
}

/** Makes the error for a refusal, with the service's own message where it sent one. */
function refusal({ settings }: Connection, method: string, answer: Answer): ServiceError {
  const { code, message } = (isTooLargeOnTheWay(answer) ? null : readRefusal(answer.body)) ?? describeForeign(answer);
  const explained = explainRefusal(answer.status, code, answer.body, settings.token !== null);
  return new ServiceError({
    code,
    message: explained ?? printable(message),
    status: answer.status,
    method,
    retryAfterMs: readRetryAfter(answer.headers['retry-after']),
  });
}

/** See `ServiceClient.rebase`. @throws CliError `protocol` for an address that is not the service's own: core/addresses.ts. */
function rebase({ settings }: Connection, url: string): string {
  const path = ownPath(url);
  if (path !== null) return `${settings.serverUrl}${path}`;
  throw new CliError('protocol', `the service gave an address that is not its own: ${printable(url)}`);
}

interface CallOptions {
  query?: Record<string, string | number | true | undefined>;
  json?: unknown;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  /** A status that is no refusal, beside 2xx. */
  expected?: number;
  workBytes?: number;
}

async function call(
  connection: Connection,
  method: string,
  path: string,
  signal: AbortSignal,
  options: CallOptions = {},
): Promise<Answer> {
  const { settings, authorization } = connection;
  const url = new URL(`${settings.serverUrl}${path}`);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = { ...authorization, Accept: 'application/json', ...options.headers };
  if (options.json !== undefined) headers['Content-Type'] = 'application/json';
  if (options.form !== undefined) headers['Content-Type'] = 'application/x-www-form-urlencoded';
  const form = options.form && new URLSearchParams(options.form).toString();
  const body = options.json === undefined ? form : JSON.stringify(options.json);
  const answer = await reaching(
    connection,
    exchange({ method, url: url.href, headers, body, signal, ...timeouts(settings, options.workBytes) }),
  );
  if (answer.status === options.expected) return answer;
  if (answer.status < 200 || answer.status > 299) throw refusal(connection, method, answer);
  return answer;
}

async function download(
  connection: Connection,
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Download> {
  const { authorization, settings } = connection;
  const { stallTimeoutMs } = settings;
  // Addresses of archives and of links are made here, not taken from an answer.
  const isMadeHere = ['/s/', archivePath([])].some((path) => url.startsWith(settings.serverUrl + path));
  const own = isMadeHere ? url : rebase(connection, url);
  const get = (from: string, asked: Record<string, string>): Promise<IncomingMessage> =>
    open({ method: 'GET', url: from, headers: asked, signal, stallTimeoutMs });
  const response = await reaching(connection, get(own, { ...authorization, ...headers }));
  const etag = response.headers.etag ?? null;
  const setCookies = response.headers['set-cookie'] ?? [];
  if (isBytes(response)) return { response, etag, setCookies };
  const refused = await readRest(response, { signal, stallTimeoutMs });
  const address = storeAddress(refused, own);
  if (address === null) throw refusal(connection, 'GET', refused);
  // The store must not get the token or a ticket. It has another ETag for the content, so the service's ETag decides whether the rest
  // belongs to the bytes that this client has.
  const { Range: range, 'If-Range': condition, Cookie: _ticket, ...others } = headers;
  const isRest = range !== undefined && (condition === undefined || (etag !== null && condition === etag));
  const answer = await get(address, { ...others, ...(isRest ? { Range: range } : {}) }).catch((error: unknown) => {
    throw explainStoreFailure(error, address);
  });
  if (isBytes(answer)) return { response: answer, etag, setCookies };
  throw storeRefusal(await readRest(answer, { signal, stallTimeoutMs }));
}

function archivePath(ids: readonly string[]): string {
  return `/api/archive?${ids.map((id) => `id=${encodeURIComponent(id)}`).join('&')}`;
}

async function archiveSize(
  connection: Connection,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const { headers } = await call(connection, 'HEAD', archivePath(ids), signal);
    const length = headers['content-length'];
    return length === undefined ? null : Number(length);
  } catch (error) {
    // The answer to GET says why, which that to HEAD does not.
    if (error instanceof ServiceError && !isTransientRefusal(error)) return null;
    throw error;
  }
}

async function readRest(response: IncomingMessage, options: Parameters<typeof readBody>[1]): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readBody(response, options)) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

async function tus(connection: Connection, request: TusExchange): Promise<Answer> {
  const { method } = request;
  const { settings, authorization } = connection;
  const isOverridden = connection.overrides && method !== 'POST';
  const override: Record<string, string> = isOverridden ? { 'X-HTTP-Method-Override': method } : {};
  const isEndpoint = request.url === `${settings.serverUrl}/uploads`;
  const answer = await reaching(
    connection,
    exchange({
      ...request,
      url: isEndpoint ? request.url : rebase(connection, request.url),
      method: isOverridden ? 'POST' : method,
      headers: { ...request.headers, ...authorization, ...override },
      ...timeouts(settings, request.workBytes),
    }),
  );
  if (answer.status >= 200 && answer.status <= 299) return answer;
  if (tellsOffset(method, answer.status, answer.headers['upload-offset']?.toString()))
    return { ...answer, status: 200 };
  if (request.body) await learnSize(connection, request.body.size, answer);
  if (isOverridden || !isMethodRefusal(method, answer.status)) throw refusal(connection, method, answer);
  connection.overrides = true;
  // The body has been read, and only the next attempt can read it again.
  if (request.body)
    throw new OtherFormError('method_refused', `something on the way blocks ${method}; sending it as POST`);
  return tus(connection, request);
}

async function offers(connection: Connection, signal: AbortSignal): Promise<Offers> {
  const { settings, authorization } = connection;
  const url = `${settings.serverUrl}/uploads`;
  const headers = { ...authorization, 'Tus-Resumable': '1.0.0' };
  const answer = await reaching(
    connection,
    exchange({ method: 'OPTIONS', url, headers, signal, ...timeouts(settings) }),
  );
  if (isTransientRefusal({ status: answer.status, code: '' })) throw refusal(connection, 'OPTIONS', answer);
  const { 'tus-extension': extensions = '', 'tus-max-size': maxSize } = answer.headers;
  return { extensions: extensions.toString(), maxSize: maxSize?.toString() ?? null };
}

function isTooLargeOnTheWay({ status, headers, body }: Answer): boolean {
  return isRefusedOnTheWay(status, readRefusal(body)?.code ?? null, headers['tus-resumable']?.toString());
}

/** @throws OtherFormError where something on the way refused the request for its size, and a smaller one may get through. */
async function learnSize({ requestSize }: Connection, sentBytes: number, answer: Answer): Promise<void> {
  if (!isTooLargeOnTheWay(answer)) return;
  const most = await requestSize.learn(sentBytes);
  if (most === null) return;
  const refused = `something in front of the service accepts no request of ${formatSize(sentBytes)}`;
  throw new OtherFormError(
    REQUEST_TOO_LARGE,
    `${refused}; sending at most ${formatSize(most)} at once from now on, as with --chunk-size`,
  );
}

function timeouts({ stallTimeoutMs }: Settings, workBytes = 0): { stallTimeoutMs: number; answerTimeoutMs: number } {
  return { stallTimeoutMs, answerTimeoutMs: stallTimeoutMs + (1000 * workBytes) / WORK_BYTES_PER_SECOND };
}

function isBytes({ statusCode }: IncomingMessage): boolean {
  return [200, 206, 304, 412, 416].includes(statusCode ?? 0);
}

/** The address in a redirect to the service's store; null for any other answer. */
function storeAddress({ status, headers }: Answer, asked: string): string | null {
  const { location } = headers;
  if ((status !== 302 && status !== 307) || location === undefined || !URL.canParse(location, asked)) return null;
  const url = new URL(location, asked);
  // The same path on another host is the service itself under another address, which the user has to give with `--server`.
  const isStore = /^https?:$/.test(url.protocol) && url.pathname !== new URL(asked).pathname;
  return isStore ? url.href : null;
}

/** Makes the error for a refusal of the store. Without the address, with which anyone could read the content. */
function storeRefusal({ status, headers, body }: Answer): ServiceError {
  const code = /<Code>(\w{1,64})<\/Code>/.exec(body)?.[1];
  return new ServiceError({
    code: 'store_refused',
    message: `The service sent us on to its store, which answered ${code ?? 'without saying why'}.`,
    status,
    method: 'GET',
    retryAfterMs: readRetryAfter(headers['retry-after']),
  });
}

/** Describes a refusal that is not the service's own: a proxy's, or that of another program on that port. */
function describeForeign(answer: Answer): { code: string; message: string } {
  if (answer.status >= 300 && answer.status < 400) {
    return { code: 'redirected', message: describeRedirect(answer.headers.location) };
  }
  return { code: 'http_error', message: `The server answered ${answer.status} without saying why.` };
}

/** Describes a redirect by the origin and path of its address: the query is left out, as it may be secret. */
function describeRedirect(location: string | undefined): string {
  if (location === undefined || !URL.canParse(location)) return 'The server sends us elsewhere; is the address right?';
  const { origin, pathname } = new URL(location);
  return `The server sends us to ${printable(`${origin}${pathname}`)}; give an address there with --server.`;
}

function readJson<T>(answer: Answer, isExpected: (value: Record<string, unknown>) => boolean): T {
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || !isExpected(value as Record<string, unknown>)) {
    throw new CliError('protocol', 'the server answers, but not as a Tidemark service does; is the address right?');
  }
  return value as T;
}

function folderCalls(connection: Connection): Pick<ServiceClient, 'folder' | 'moveFolder' | 'removeFolder'> {
  const path = '/api/folders';
  const isCounted = (value: Record<string, unknown>): boolean => typeof value['files'] === 'number';
  return {
    folder: async (folder, signal) =>
      readJson<FolderJson>(await call(connection, 'GET', path, signal, { query: { path: folder } }), isCounted),
    moveFolder: async (folder, to, signal) => {
      const json: MoveJson = { path: to };
      const answer = await call(connection, 'PATCH', path, signal, { query: { path: folder }, json });
      return readJson<FolderJson>(answer, isCounted);
    },
    removeFolder: async (folder, cursor, signal) => {
      const query = { path: folder, ...(cursor === null ? {} : { cursor }) };
      return readJson<DeletedJson>(await call(connection, 'DELETE', path, signal, { query }), isCounted);
    },
  };
}

function isCheckAnswer(value: Record<string, unknown>): boolean {
  return value['status'] === 'exists' || value['status'] === 'notfound' || value['status'] === 'uploading';
}

function isFile(value: Record<string, unknown>): boolean {
  return typeof value['id'] === 'string' && typeof value['md5'] === 'string' && typeof value['size'] === 'number';
}
