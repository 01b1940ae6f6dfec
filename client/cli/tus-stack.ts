/**
 * The extension points of tus-js-client: an HTTP stack over http.ts, and a reader over
 * our sources. The stack throws for every refusal, so that the library does not answer
 * a 503 to its HEAD by beginning a new upload at byte 0.
 */
import type { FileReader, FileSource, HttpRequest, HttpResponse, HttpStack, SliceResult } from 'tus-js-client';
import { lifeLeftMs } from '../core/journal-life.ts';
import { readMetadata } from '../core/metadata.ts';
import { CliError, TransportError } from './errors.ts';
import type { Answer, Body } from './http.ts';
import type { ServiceClient } from './service-client.ts';

/** Where the bytes of an upload come from. It outlives the attempts to send them. */
export interface UploadSource {
  /** In bytes; null where it is known only at the end. */
  readonly size: number | null;
  slice(start: number, end: number): Promise<{ body: Body; last: boolean }>;
}

/** What the requests of an upload report. */
export interface TusObserver {
  /** The metadata with which the upload was begun. Called before anything else about the upload. */
  onDeclared(metadata: ReadonlyMap<string, string>): void;
  /** How long the service keeps the upload without another byte. */
  onLife(lifeMs: number): void;
  /** The service has stored this many bytes durably. */
  onOffset(offset: number): void;
  /** More bytes were sent: how many, and up to which position. */
  onSending(bytes: number, position: number): void;
  /** The last bytes are about to be sent, up to this position; the service publishes once it has them. */
  onLast(size: number): void;
  /** The service has published the file. */
  onPublished(fileId: string, fileUrl: string | null): void;
}

/** The upload is for other bytes: a new one has to be begun. */
export class UploadUnusableError extends CliError {
  constructor(message: string) {
    super('upload_unusable', message);
    this.name = 'UploadUnusableError';
  }
}

export interface TusStackOptions {
  service: ServiceClient;
  /** Size of the source in bytes; null where it is known only at the end. */
  size: number | null;
  signal: AbortSignal;
  observer: TusObserver;
  /** The size of an upload whose last bytes have been sent; 0 before. */
  wholeBytes: () => number;
}

/** What the requests of one attempt share. */
interface Attempt extends TusStackOptions {
  /** An upload's length can be declared only once; the library would declare it again with each retry of the last chunk. */
  lengthIsDeclared: boolean;
}

export function createTusStack(options: TusStackOptions): HttpStack {
  const attempt: Attempt = { ...options, lengthIsDeclared: false };
  return { createRequest: (method, url) => createRequest(attempt, method, url), getName: () => 'tidemark' };
}

function createRequest(attempt: Attempt, method: string, url: string): HttpRequest {
  const headers: Record<string, string> = {};
  let onProgress: (bytes: number) => void = () => {};
  return {
    getMethod: () => method,
    getURL: () => url,
    setHeader: (name, value) => {
      headers[name] = value;
    },
    getHeader: (name) => headers[name],
    setProgressHandler: (handler) => {
      onProgress = handler;
    },
    send: (body: Body | null) => send(attempt, { method, url, headers }, body, (bytes) => onProgress(bytes)),
    // Only the signal aborts a request.
    abort: () => Promise.resolve(),
    getUnderlyingObject: () => null,
  };
}

async function send(
  attempt: Attempt,
  { method, url, headers }: { method: string; url: string; headers: Record<string, string> },
  body: Body | null,
  onProgress: (bytes: number) => void,
): Promise<HttpResponse> {
  const { size, observer } = attempt;
  if (method === 'PATCH' && attempt.lengthIsDeclared) delete headers['Upload-Length'];
  const sentOffset = headers['Upload-Offset'] === undefined ? null : Number(headers['Upload-Offset']);
  const end = (sentOffset ?? 0) + (body?.size ?? 0);
  const isEnd = size === null ? headers['Upload-Length'] === String(end) : end === size;
  if (method !== 'HEAD' && isEnd) observer.onLast(end);
  const answer = await attempt.service.tus({
    method,
    url,
    headers,
    body: body ?? undefined,
    signal: attempt.signal,
    workBytes: method === 'HEAD' || isEnd ? attempt.wholeBytes() : 0,
    onSent: (bytes, totalBytes) => {
      observer.onSending(bytes, (sentOffset ?? 0) + totalBytes);
      onProgress(totalBytes);
    },
  });
  // The last PATCH of a stream may have no bytes: it declares the length, and the offset stays.
  const isLast = body?.size === 0 && headers['Upload-Length'] !== undefined;
  inspect(attempt, method, isLast ? null : sentOffset, answer);
  return responseOf(answer);
}

/** @param sentOffset - of a PATCH that has to move the offset; null for any other request. */
function inspect(attempt: Attempt, method: string, sentOffset: number | null, answer: Answer): void {
  const { observer } = attempt;
  const offset = Number(answer.headers['upload-offset']);
  if (method === 'HEAD') inspectHead(attempt, answer);
  if (method === 'PATCH' && sentOffset !== null && offset <= sentOffset) {
    // The library would send the same bytes again at once, for ever.
    throw new TransportError('no_progress', 'the service took none of the bytes');
  }
  if (Number.isSafeInteger(offset)) observer.onOffset(offset);
  const lifeMs = lifeLeftMs(answer.headers['upload-expires']?.toString(), Date.now());
  if (lifeMs !== null) observer.onLife(lifeMs);
  const fileId = answer.headers['tidemark-file-id'];
  const fileUrl = answer.headers['tidemark-file-url'];
  if (typeof fileId === 'string') observer.onPublished(fileId, typeof fileUrl === 'string' ? fileUrl : null);
}

function inspectHead(attempt: Attempt, answer: Answer): void {
  const { size, observer } = attempt;
  const length = answer.headers['upload-length'];
  const offset = Number(answer.headers['upload-offset']);
  attempt.lengthIsDeclared = length !== undefined;
  observer.onDeclared(readMetadata(String(answer.headers['upload-metadata'] ?? '')));
  if (size !== null && length !== undefined && Number(length) !== size) {
    throw new UploadUnusableError('the unfinished upload has another length');
  }
  if (size !== null && offset > size) {
    throw new UploadUnusableError('the unfinished upload holds more bytes than the file has');
  }
}

function responseOf(answer: Answer): HttpResponse {
  return {
    getStatus: () => answer.status,
    getHeader: (name) => {
      const value = answer.headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    getBody: () => answer.body,
    getUnderlyingObject: () => null,
  };
}

/** Makes a reader that gives the library the same source in every attempt. */
export function createSourceReader(source: UploadSource): FileReader {
  const adapted = {
    size: source.size,
    async slice(start: number, end: number): Promise<SliceResult> {
      const { body, last } = await source.slice(start, end);
      return { value: body, done: last };
    },
    // The caller closes the source.
    close: () => {},
    // The library's code supports a null for a length that is not known yet, but its types do not.
  } as FileSource;
  return { openFile: () => Promise.resolve(adapted) };
}
