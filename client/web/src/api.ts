/** The service's HTTP API, as the page uses it. */
import type { CheckJson, ProofJson } from '../../../server/wire/check.ts';
import type { FileJson, FilePageJson, OnConflictJson, RenameJson } from '../../../server/wire/files.ts';
import type {
  CreatedLinkJson,
  LinkPageJson,
  NewLinkJson,
  NewUploadLinkJson,
  RequestedJson,
  SentJson,
} from '../../../server/wire/links.ts';
import type { QuotaJson } from '../../../server/wire/quota.ts';
import { lifeLeftMs } from '../../core/journal-life.ts';
import { readMetadata } from '../../core/metadata.ts';
import { tellsOffset } from '../../core/offset-told.ts';
import { isGone, NO_ANSWER, readRefusal, type Refusal } from '../../core/refusals.ts';
import { isJoined, type Offers } from '../../core/upload-parts.ts';
import { readRetryAfter } from '../../core/waits.ts';
import { askForToken, authorization } from './access.ts';
import { serviceUrl } from './base.ts';
import { fileOfSent, isByLink, uploadIdOf } from './by-link.ts';
import { isToBeSaidByPost, sayMethod } from './methods.ts';

/** A refusal of the service; `code` is `offline` when there was no answer at all. */
export class ApiError extends Error implements Refusal {
  readonly code: string;
  readonly status: number;
  /** How long the service asks to wait, in milliseconds; null where it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: string, status: number, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error for a request that got no answer, or not all of it. */
export function noAnswer(message = 'no answer'): ApiError {
  return new ApiError(NO_ANSWER, 0, message);
}

/** The longest wait for an answer: a dead connection does not always report an error. */
const ANSWER_MS = 20_000;
/** How fast the service reads a content at least, to compute its SHA-256 when a client first asks by it. */
const READ_BYTES_PER_MS = 50_000;

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

/**
 * Sends a request to the service. The time limit for the answer is `ANSWER_MS`; a signal in `init` takes its place.
 *
 * @throws ApiError: a refusal; `offline` where there was no answer in time. Also the reason of the signal, where the caller
 *   aborted it.
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = authorization();
  let answer: Response;
  try {
    answer = await fetch(serviceUrl(path), {
      signal: AbortSignal.timeout(ANSWER_MS),
      ...init,
      headers: { ...headers, ...(init.headers as object) },
    });
  } catch (error) {
    if (init.signal?.aborted && !isTimeout(init.signal.reason)) throw error;
    throw noAnswer();
  }
  if (answer.ok || tellsOffset(init.method ?? 'GET', answer.status, answer.headers.get('Upload-Offset'))) return answer;
  if (answer.status === 401) askForToken(headers);
  throw refusalOf(answer.status, await answer.text().catch(() => ''), answer.headers.get('Retry-After'));
}

/** Makes the error for an answer that is a refusal. */
export function refusalOf(status: number, body: string, retryAfter: string | null | undefined): ApiError {
  const { code, message } = readRefusal(body) ?? { code: 'unknown', message: String(status) };
  return new ApiError(code, status, message, readRetryAfter(retryAfter));
}

export async function jsonOf<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch {
    throw noAnswer('the answer broke off');
  }
}

/** What identifies a content. Without a SHA-256, any content with this MD5 and size matches. */
export interface Content {
  md5: string;
  sha256?: string | null;
  size: number;
}

export interface CheckOptions {
  /** Where the service has the content, it adds a file of this name. */
  filename?: string;
  /** What becomes of another file that has the name. */
  onconflict?: OnConflictJson;
  /** Asks for a challenge where others may have the content; needs the SHA-256. */
  prove?: true;
}

/** Asks whether the service has this content. */
export async function check(
  { md5, sha256, size }: Content,
  { filename, onconflict, prove: isToProve }: CheckOptions = {},
): Promise<CheckJson> {
  // A sender cannot ask what the link's owner has.
  if (isByLink()) return { status: 'notfound' };
  const query = new URLSearchParams({ md5, size: String(size) });
  if (sha256) query.set('sha256', sha256);
  if (filename !== undefined) query.set('filename', filename);
  if (onconflict !== undefined) query.set('onconflict', onconflict);
  if (isToProve) query.set('prove', 'true');
  // The service lets no page of another site replace a file: such a page cannot send this.
  const headers = { 'X-Requested-With': 'tidemark' };
  return jsonOf(await request(`check?${query.toString()}`, { headers, signal: untilRead(size) }));
}

/** Proves to have a content, and asks whether the service has it. */
export async function prove(proof: ProofJson): Promise<CheckJson> {
  const headers = { 'Content-Type': 'application/json' };
  const body = JSON.stringify(proof);
  return jsonOf(await request('check', { method: 'POST', body, headers, signal: untilRead(proof.size) }));
}

/** The time limit of an answer before which the service may have to read a content. */
function untilRead(size: number): AbortSignal {
  return AbortSignal.timeout(ANSWER_MS + size / READ_BYTES_PER_MS);
}

/** What the owner has and may have. */
export async function readQuota(): Promise<QuotaJson> {
  return jsonOf(await request('api/quota'));
}

export async function getFile(id: string): Promise<FileJson> {
  if (isByLink()) return fileOfSent(id, await jsonOf<SentJson>(await request(`uploads/${encodeURIComponent(id)}`)));
  return jsonOf(await request(`api/files/${encodeURIComponent(id)}`));
}

export async function listFiles(query: Record<string, string>, signal?: AbortSignal): Promise<FilePageJson> {
  return jsonOf(await request(`api/files?${new URLSearchParams(query).toString()}`, signal ? { signal } : {}));
}

/**
 * Reads the beginning of a file, at most `most` bytes, even if the service or something in front of it ignores the range.
 * Asks for the bytes from the service itself (`direct`): a bucket may not allow scripts of this page to read.
 */
export async function readBeginning(id: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const leave = new AbortController();
  const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(ANSWER_MS)]);
  const headers = { Range: `bytes=0-${most - 1}` };
  const { body } = await request(`api/files/${encodeURIComponent(id)}/content?direct`, { headers, signal });
  const reader = body?.getReader();
  const bytes = new Uint8Array(most);
  let length = 0;
  try {
    while (reader && length < most) {
      const { value } = await reader.read();
      if (value === undefined) break;
      bytes.set(value.subarray(0, most - length), length);
      length = Math.min(most, length + value.length);
    }
  } catch {
    throw noAnswer('the answer broke off');
  } finally {
    leave.abort();
  }
  return bytes.subarray(0, length);
}

export async function renameFile(id: string, name: string): Promise<FileJson> {
  const body = JSON.stringify({ name } satisfies RenameJson);
  const headers = { 'Content-Type': 'application/json' };
  return jsonOf(await request(`api/files/${encodeURIComponent(id)}`, { method: 'PATCH', body, headers }));
}

/** The request outlives the page: a deletion happens even when the user closes the tab. */
export async function deleteFile(id: string): Promise<void> {
  await request(`api/files/${encodeURIComponent(id)}`, { method: 'DELETE', keepalive: true });
}

export async function createLink(link: NewLinkJson | NewUploadLinkJson): Promise<CreatedLinkJson> {
  const headers = { 'Content-Type': 'application/json' };
  return jsonOf(await request('api/links', { method: 'POST', body: JSON.stringify(link), headers }));
}

/** @param cursor - of the page before; null: the first one. */
export async function listLinks(cursor: string | null): Promise<LinkPageJson> {
  const query = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  return jsonOf(await request(`api/links?limit=100${query}`));
}

export async function revokeLink(id: string): Promise<void> {
  await request(`api/links/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Sends HEAD or DELETE for an upload; once more by POST where something on the way blocks the method. */
async function askUpload(url: string, method: 'HEAD' | 'DELETE', init: RequestInit = {}): Promise<Response> {
  const said = sayMethod(method);
  try {
    const headers = { 'Tus-Resumable': '1.0.0', ...said.headers };
    return await request(url, { ...init, method: said.method, headers });
  } catch (error) {
    if (error instanceof ApiError && isToBeSaidByPost(said, error.status)) return askUpload(url, method, init);
    throw error;
  }
}

export interface UploadState {
  /** Of a final upload: 0 until its parts are joined. */
  offset: number;
  /** Whether the answer has an offset: that of a final upload has one only once its parts are joined. */
  isJoined: boolean;
  /** In bytes; null while it is not known. */
  length: number | null;
  /** How long the service keeps it without another byte; null where it does not say. */
  lifeMs: number | null;
  /** Seconds since its last byte arrived; undefined where the service does not say. */
  idle: number | undefined;
  /** Id of the published file; null while there is none. */
  fileId: string | null;
  /** SHA-256, name, and what becomes of another file of that name, as they were declared when the upload was begun. */
  sha256: string | null;
  name: string | null;
  onConflict: string | null;
}

/** Asks for the state of an upload; null when it no longer exists. */
export async function uploadState(url: string): Promise<UploadState | null> {
  try {
    const { headers } = await askUpload(url, 'HEAD');
    const declared = readMetadata(headers.get('Upload-Metadata') ?? '');
    const idle = headers.get('Tidemark-Idle');
    const isWhole = headers.has('Upload-Length') && headers.get('Upload-Offset') === headers.get('Upload-Length');
    return {
      offset: Number(headers.get('Upload-Offset')),
      isJoined: isJoined(headers.get('Upload-Offset')),
      length: headers.has('Upload-Length') ? Number(headers.get('Upload-Length')) : null,
      lifeMs: lifeLeftMs(headers.get('Upload-Expires'), Date.now()),
      idle: idle === null ? undefined : Number(idle),
      fileId: headers.get('Tidemark-File-Id') ?? (isByLink() && isWhole ? uploadIdOf(url) : null),
      sha256: declared.get('sha256') ?? null,
      name: declared.get('filename') ?? null,
      onConflict: declared.get('onconflict') ?? null,
    };
  } catch (error) {
    if (error instanceof ApiError && isGone(error)) return null;
    throw error;
  }
}

export async function endUpload(url: string): Promise<void> {
  await askUpload(url, 'DELETE', { keepalive: true });
}

/** What an upload link takes, on its page. */
export async function linkTerms(): Promise<RequestedJson> {
  return jsonOf(await request(serviceUrl('.').replace(/\/$/, '')));
}

/** What the service says of itself. */
export async function serviceOffers(): Promise<Offers> {
  const { headers } = await request('uploads', { method: 'OPTIONS' });
  return { extensions: headers.get('Tus-Extension') ?? '', maxSize: headers.get('Tus-Max-Size') };
}

/** Largest file in bytes; null: no limit. */
export async function maxFileSize(): Promise<number | null> {
  const { maxSize } = await serviceOffers();
  return maxSize === null ? null : Number(maxSize);
}
