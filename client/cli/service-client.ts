/** The service's HTTP API as functions. One call is one request; trying again is the caller's business. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { CheckJson } from '../../server/wire/check.ts';
import type { ErrorJson } from '../../server/wire/errors.ts';
import type { FileJson, FilePageJson, FileSortJson } from '../../server/wire/files.ts';
import { isMethodRefusal } from '../core/refusals.ts';
import { CliError, ServiceError, TransportError } from './errors.ts';
import { explainFailure, explainRefusal, explainStoreFailure } from './first-contact.ts';
import { exchange, open, readBody } from './http.ts';
import type { Answer, Body } from './http.ts';
import { printable } from './format.ts';
import { proxyHostFor } from './proxy.ts';
import type { Settings } from './settings.ts';

export interface CheckQuestion {
  md5: string;
  size?: number;
  sha256?: string;
  /** With it, content that is there already becomes a file of ours by this name. */
  filename?: string;
}

export interface ListQuestion {
  limit: number;
  cursor?: string;
  search?: string;
  sort?: FileSortJson;
  order?: 'asc' | 'desc';
}

export interface ServiceClient {
  readonly settings: Settings;
  /** Where new uploads are created. */
  readonly uploadsUrl: string;
  check(question: CheckQuestion, signal: AbortSignal): Promise<CheckJson>;
  list(question: ListQuestion, signal: AbortSignal): Promise<FilePageJson>;
  file(id: string, signal: AbortSignal): Promise<FileJson>;
  rename(id: string, name: string, signal: AbortSignal): Promise<FileJson>;
  remove(id: string, signal: AbortSignal): Promise<void>;
  /**
   * Opens a published content; 200, 206, 304, 412 and 416 come back, the rest is thrown.
   * Where the service sends us on to its store, the answer is the store's.
   */
  download(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Download>;
  /** A request of the tus protocol. Any status but 2xx is thrown. */
  tus(request: TusExchange): Promise<Answer>;
  /** The same resource, addressed the way this client reaches the service. */
  rebase(url: string): string;
  /** Whether two addresses, however the service was called, are of the same resource. */
  isSame(one: string, other: string): boolean;
}

export interface Download {
  response: IncomingMessage;
  /** The service's own for this content, whoever sends the bytes. */
  etag: string | null;
}

export interface TusExchange {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: Body | undefined;
  signal: AbortSignal;
  /** How much the service may have to read before it can answer: to publish is to verify. */
  workBytes?: number;
  onSent?: (bytes: number, totalBytes: number) => void;
}

/** A slow disk's reading, with the hashing of what is read. */
const WORK_BYTES_PER_SECOND = 50 * 1024 * 1024;

export function createServiceClient(settings: Settings): ServiceClient {
  const { serverUrl, stallTimeoutMs } = settings;
  const authorization: Record<string, string> =
    settings.token === null ? {} : { Authorization: `Bearer ${settings.token}` };

  /** Whether the service, or something in front of it, has answered. */
  let met = false;
  /** PATCH and HEAD do not get through: POST says them (tus 1.0.0, "X-HTTP-Method-Override"). */
  let overrides = false;

  async function reaching<T>(answer: Promise<T>): Promise<T> {
    try {
      const given = await answer;
      met = true;
      return given;
    } catch (error) {
      const { persistent } = settings;
      throw explainFailure(error, { serverUrl, proxy: proxyHostFor(serverUrl), met, persistent });
    }
  }

  /** What the service says against a request, in its own words where it has any. */
  function refusal(method: string, answer: Answer): ServiceError {
    const { code, message } = readRefusal(answer);
    const explained = explainRefusal(answer.status, code, answer.body, settings.token !== null);
    return new ServiceError({
      code,
      message: explained ?? printable(message),
      status: answer.status,
      method,
      retryAfterMs: readRetryAfter(answer.headers),
    });
  }

  /**
   * Addresses in answers name the service as it believes to be called. Behind a proxy or a
   * second address that may be wrong, and the token must not follow them to another host:
   * what lies under our own routes is asked of the server we were given.
   */
  function rebase(url: string): string {
    const path = ownPath(url);
    if (path === null)
      throw new CliError('protocol', `the service gave an address that is not its own: ${printable(url)}`);
    return `${serverUrl}${path}`;
  }

  /** The part of an address below the service's own; null when it is not one of its routes. */
  function ownPath(url: string): string | null {
    const { pathname } = new URL(url, `${serverUrl}/`);
    return /\/(?:(?:uploads|files)\/[^/?#]+|api\/files\/[^/?#]+\/content)$/.exec(pathname)?.[0] ?? null;
  }

  async function call(
    method: string,
    path: string,
    signal: AbortSignal,
    options: { query?: Record<string, string | number | undefined>; json?: unknown; workBytes?: number } = {},
  ): Promise<Answer> {
    const url = new URL(`${serverUrl}${path}`);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { ...authorization, Accept: 'application/json' };
    if (options.json !== undefined) headers['Content-Type'] = 'application/json';
    const body = options.json === undefined ? undefined : JSON.stringify(options.json);
    const answer = await reaching(
      exchange({ method, url: url.href, headers, body, signal, ...timeouts(options.workBytes) }),
    );
    if (answer.status < 200 || answer.status > 299) throw refusal(method, answer);
    return answer;
  }

  async function download(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Download> {
    const own = rebase(url);
    const response = await reaching(get(own, { ...authorization, ...headers }, signal));
    const etag = response.headers.etag ?? null;
    if (isBytes(response)) return { response, etag };
    const refused = await readRest(response, signal);
    const address = storeAddress(refused, own);
    if (address === null) throw refusal('GET', refused);
    // The token is the service's business alone. The store knows the content by another ETag:
    // whether the rest belongs to what is here, the service's tells.
    const { Range: range, 'If-Range': condition, ...others } = headers;
    const goesOn = range !== undefined && etag !== null && condition === etag;
    const asked = { ...others, ...(goesOn ? { Range: range } : {}) };
    const answer = await get(address, asked, signal).catch((error: unknown) => {
      throw explainStoreFailure(error, address);
    });
    if (isBytes(answer)) return { response: answer, etag };
    throw storeRefusal(await readRest(answer, signal));
  }

  function get(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
    return open({ method: 'GET', url, headers, signal, stallTimeoutMs });
  }

  async function readRest(response: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const chunks: Buffer[] = [];
    for await (const chunk of readBody(response, { signal, stallTimeoutMs })) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8');
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  async function tus(request: TusExchange): Promise<Answer> {
    const { method } = request;
    const isOverridden = overrides && method !== 'POST';
    const answer = await reaching(
      exchange({
        ...request,
        url: rebaseUnlessEndpoint(request.url),
        method: isOverridden ? 'POST' : method,
        headers: {
          ...request.headers,
          ...authorization,
          ...(isOverridden ? { 'X-HTTP-Method-Override': method } : {}),
        },
        ...timeouts(request.workBytes),
      }),
    );
    if (answer.status >= 200 && answer.status <= 299) return answer;
    if (isOverridden || !isMethodRefusal(method, answer.status)) throw refusal(method, answer);
    overrides = true;
    // A body has been given out, and can be had again in the next attempt only.
    if (request.body) throw new TransportError('method_refused', `${method} does not get through; POST is to say it`);
    return tus(request);
  }

  function timeouts(workBytes = 0): { stallTimeoutMs: number; answerTimeoutMs: number } {
    return { stallTimeoutMs, answerTimeoutMs: stallTimeoutMs + (1000 * workBytes) / WORK_BYTES_PER_SECOND };
  }

  function rebaseUnlessEndpoint(url: string): string {
    return url === `${serverUrl}/uploads` ? url : rebase(url);
  }

  return {
    settings,
    uploadsUrl: `${serverUrl}/uploads`,
    check: async (question, signal) =>
      readJson<CheckJson>(
        // For the sake of a SHA-256 that it has not computed yet, or of an upload that is being published.
        await call('GET', '/check', signal, { query: { ...question }, workBytes: question.size ?? 0 }),
        isCheckAnswer,
      ),
    list: async (question, signal) =>
      readJson<FilePageJson>(await call('GET', '/api/files', signal, { query: { ...question } }), (value) =>
        Array.isArray(value['files']),
      ),
    file: async (id, signal) =>
      readJson<FileJson>(await call('GET', `/api/files/${encodeURIComponent(id)}`, signal), isFile),
    rename: async (id, name, signal) =>
      readJson<FileJson>(
        await call('PATCH', `/api/files/${encodeURIComponent(id)}`, signal, { json: { name } }),
        isFile,
      ),
    remove: async (id, signal) => {
      await call('DELETE', `/api/files/${encodeURIComponent(id)}`, signal);
    },
    download,
    tus,
    rebase,
    isSame: (one, other) => ownPath(one) !== null && ownPath(one) === ownPath(other),
  };
}

function isBytes({ statusCode }: IncomingMessage): boolean {
  return [200, 206, 304, 412, 416].includes(statusCode ?? 0);
}

/** Where the service's store has a content; null when this is no way to one. */
function storeAddress({ status, headers }: Answer, asked: string): string | null {
  const { location } = headers;
  if ((status !== 302 && status !== 307) || location === undefined || !URL.canParse(location, asked)) return null;
  const url = new URL(location, asked);
  // The same path elsewhere is the service itself, under another address: that is for `--server` to say.
  const isStore = /^https?:$/.test(url.protocol) && url.pathname !== new URL(asked).pathname;
  return isStore ? url.href : null;
}

/** Never with the address, which opens the content to whoever reads it. */
function storeRefusal({ status, headers, body }: Answer): ServiceError {
  const code = /<Code>(\w{1,64})<\/Code>/.exec(body)?.[1];
  return new ServiceError({
    code: 'store_refused',
    message: `The service sent us on to its store, which answered ${code ?? 'without saying why'}.`,
    status,
    method: 'GET',
    retryAfterMs: readRetryAfter(headers),
  });
}

function readRefusal(answer: Answer): { code: string; message: string } {
  try {
    const parsed = JSON.parse(answer.body) as { error?: Partial<Record<keyof ErrorJson['error'], unknown>> } | null;
    const { code, message } = parsed?.error ?? {};
    if (typeof message === 'string') return { code: typeof code === 'string' ? code : 'refused', message };
  } catch {
    // Not from the service: a proxy in between, or another program on that port.
  }
  if (answer.status >= 300 && answer.status < 400) {
    return { code: 'redirected', message: describeRedirect(answer.headers.location) };
  }
  return { code: 'http_error', message: `The server answered ${answer.status} without saying why.` };
}

/** Of the address nothing but where it is: what follows the path is about one request, and may be secret. */
function describeRedirect(location: string | undefined): string {
  if (location === undefined || !URL.canParse(location)) return 'The server sends us elsewhere; is the address right?';
  const { origin, pathname } = new URL(location);
  return `The server sends us to ${printable(`${origin}${pathname}`)}; give an address there with --server.`;
}

function readRetryAfter(headers: IncomingHttpHeaders): number | null {
  const value = headers['retry-after'];
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) * 1000 : null;
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

function isCheckAnswer(value: Record<string, unknown>): boolean {
  return value['status'] === 'exists' || value['status'] === 'notfound' || value['status'] === 'uploading';
}

function isFile(value: Record<string, unknown>): boolean {
  return typeof value['id'] === 'string' && typeof value['md5'] === 'string' && typeof value['size'] === 'number';
}
