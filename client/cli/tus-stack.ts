/**
 * tus-js-client's extension points, filled in: requests over our own HTTP (stall watch,
 * abort, any refusal an error, so that a HEAD answered 503 never begins a new upload at
 * byte 0), and sources that hand out slices as they are sent.
 */
import type { FileReader, FileSource, HttpRequest, HttpResponse, HttpStack, SliceResult } from 'tus-js-client';
import { readMetadata } from '../core/metadata.ts';
import { CliError, TransportError } from './errors.ts';
import type { Answer, Body } from './http.ts';
import type { ServiceClient } from './service-client.ts';

/** Where the bytes of an upload come from. Outlives the attempts to send them. */
export interface UploadSource {
  /** null when only the end of the bytes tells. */
  readonly size: number | null;
  slice(start: number, end: number): Promise<{ body: Body; last: boolean }>;
}

/** What the requests of an upload reveal on their way. */
export interface TusObserver {
  /** How the upload was begun, in its metadata: told before any other answer about it. */
  onDeclared(metadata: ReadonlyMap<string, string>): void;
  /** The service has this much, durably. */
  onOffset(offset: number): void;
  /** So many bytes more have left, up to this position. */
  onSending(bytes: number, position: number): void;
  /** The last bytes are about to be sent, up to this position; the service publishes once it has them. */
  onLast(size: number): void;
  /** The file it has become. */
  onPublished(fileId: string, fileUrl: string | null): void;
}

/** The upload at this address is not for these bytes, or not there any more: a new one is due. */
export class UploadUnusableError extends CliError {
  constructor(message: string) {
    super('upload_unusable', message);
    this.name = 'UploadUnusableError';
  }
}

export function createTusStack(options: {
  service: ServiceClient;
  size: number | null;
  signal: AbortSignal;
  observer: TusObserver;
  /** The size of an upload whose last bytes have been sent; 0 before. */
  wholeBytes: () => number;
}): HttpStack {
  // An upload's length can be declared once; the library would declare it again with each try of the last chunk.
  let lengthIsDeclared = false;

  function inspectHead(answer: Answer): void {
    const length = answer.headers['upload-length'];
    const offset = Number(answer.headers['upload-offset']);
    lengthIsDeclared = length !== undefined;
    options.observer.onDeclared(readMetadata(String(answer.headers['upload-metadata'] ?? '')));
    if (options.size !== null && length !== undefined && Number(length) !== options.size) {
      throw new UploadUnusableError('the unfinished upload has another length');
    }
    if (options.size !== null && offset > options.size) {
      throw new UploadUnusableError('the unfinished upload holds more bytes than the file has');
    }
  }

  function inspect(method: string, sentOffset: number | null, isLast: boolean, answer: Answer): void {
    const offset = Number(answer.headers['upload-offset']);
    if (method === 'HEAD') inspectHead(answer);
    if (method === 'PATCH' && !isLast && sentOffset !== null && offset <= sentOffset) {
      // The library would send the same bytes again at once, for ever.
      throw new TransportError('no_progress', 'the service took none of the bytes');
    }
    if (Number.isSafeInteger(offset)) options.observer.onOffset(offset);
    const fileId = answer.headers['tidemark-file-id'];
    const fileUrl = answer.headers['tidemark-file-url'];
    if (typeof fileId === 'string') {
      options.observer.onPublished(fileId, typeof fileUrl === 'string' ? fileUrl : null);
    }
  }

  function createRequest(method: string, url: string): HttpRequest {
    const headers: Record<string, string> = {};
    let onProgress: (bytes: number) => void = () => {};

    async function send(body: Body | null): Promise<HttpResponse> {
      if (method === 'PATCH' && lengthIsDeclared) delete headers['Upload-Length'];
      const sentOffset = headers['Upload-Offset'] === undefined ? null : Number(headers['Upload-Offset']);
      const end = (sentOffset ?? 0) + (body?.size ?? 0);
      const isEnd = options.size === null ? headers['Upload-Length'] === String(end) : end === options.size;
      if (method !== 'HEAD' && isEnd) options.observer.onLast(end);
      const answer = await options.service.tus({
        method,
        url,
        headers,
        body: body ?? undefined,
        signal: options.signal,
        workBytes: method === 'HEAD' || isEnd ? options.wholeBytes() : 0,
        onSent: (bytes, totalBytes) => {
          options.observer.onSending(bytes, (sentOffset ?? 0) + totalBytes);
          onProgress(totalBytes);
        },
      });
      // Only the end of a stream may come without bytes: that its length is now known is what moves on.
      const isLast = body?.size === 0 && headers['Upload-Length'] !== undefined;
      inspect(method, sentOffset, isLast, answer);
      return response(answer);
    }

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
      send,
      // Ended by the signal alone.
      abort: () => Promise.resolve(),
      getUnderlyingObject: () => null,
    };
  }

  function response(answer: Answer): HttpResponse {
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

  return { createRequest, getName: () => 'tidemark' };
}

/** Hands one source to the library, which asks for it anew in every attempt. */
export function createSourceReader(source: UploadSource): FileReader {
  const adapted = {
    size: source.size,
    async slice(start: number, end: number): Promise<SliceResult> {
      const { body, last } = await source.slice(start, end);
      return { value: body, done: last };
    },
    // The source is closed by whoever opened it.
    close: () => {},
    // The library's types lack the null that its code provides for a length not known yet.
  } as FileSource;
  return { openFile: () => Promise.resolve(adapted) };
}
