/** Sends the bytes of one file by Uppy's tus plugin, without Uppy's retries: the queue decides when to retry. */
import Uppy, { type Meta } from '@uppy/core';
import Tus from '@uppy/tus';
import type { HttpRequest, HttpResponse } from 'tus-js-client';
import { askForToken, authorization } from './access.ts';
import type { OnConflictJson } from '../../../server/wire/files.ts';
import { mediaTypeOf } from '../../../server/wire/labels.ts';
import { lifeLeftMs } from '../../core/journal-life.ts';
import { isGone } from '../../core/refusals.ts';
import { isRefusedOnTheWay, REQUEST_TOO_LARGE } from '../../core/request-size.ts';
import { ApiError, noAnswer, refusalOf } from './api.ts';
import { ownUrl, serviceUrl } from './base.ts';
import { saidBySender } from './by-link.ts';
import { learnRequestSize, mostRequestBytes } from './request-size.ts';
import { OwnOrigin } from './tus-stack.ts';

export interface TransferEvents {
  /** How long the service keeps the upload without another byte. */
  onLife(lifeMs: number): void;
  /** The upload's address is known. */
  onUrl(url: string): void;
  /** @param sent - bytes that the service has or that are being sent. */
  onProgress(sent: number): void;
  /** The upload is gone. @returns `beginAnew` to let the transfer begin a new upload at byte 0. */
  onGone(): 'beginAnew' | 'fail';
  onDone(fileId: string | null): void;
  onFailed(error: ApiError): void;
}

export interface Transfer {
  pause(): void;
  resume(): void;
  /** Stops sending; the service keeps what it has. */
  stop(): void;
  /** Stops sending, and ends the upload at the service. */
  cancel(): void;
}

/** A connection on which no byte moves for so long counts as dead. */
export const SILENCE_MS = 30_000;
/** The limit once all bytes are sent: before the last answer the service verifies, and may have to read stored bytes. */
export const SILENCE_AT_END_MS = 300_000;

/** What identifies a file. */
export interface About {
  /** With its folders. */
  name: string;
  md5: string;
  sha256: string;
  /** What becomes of another file that has the name; null: both are kept. */
  onConflict: OnConflictJson | null;
  /** The address of an upload to resume. */
  url: string | null;
}

const PLUGIN = 'Tus';

/** The metadata of an upload: only what is known of the file. */
export function labelsOf(file: File, { name, onConflict, md5, sha256 }: About): Record<string, string> {
  const type = mediaTypeOf(file.type);
  return {
    filename: name,
    ...(type === null ? {} : { filetype: type }),
    ...(onConflict === null ? {} : { onconflict: onConflict }),
    md5,
    sha256,
    ...saidBySender(),
  };
}

/** The state of a transfer. */
interface Run {
  /** Of the file, in bytes. */
  readonly size: number;
  /** Most bytes in one request. */
  readonly chunkSize: number;
  /** Its end was reported; no event follows. */
  ended: boolean;
  isPaused: boolean;
  /** All bytes have been sent. */
  isAtEnd: boolean;
  /** When something last moved, in milliseconds since the epoch. */
  movedAt: number;
  /** The refusal of the latest request. Kept here, as Uppy aborts a failed request, whose answer is then lost. */
  refusal: ApiError | null;
}

export function startTransfer(file: File, about: About, events: TransferEvents): Transfer {
  const labels = labelsOf(file, about);
  const chunkSize = mostRequestBytes() ?? Infinity;
  const now = { ended: false, isPaused: false, isAtEnd: false, movedAt: Date.now(), refusal: null };
  const run: Run = { size: file.size, chunkSize, ...now };
  const uppy = openUppy(Object.keys(labels), run, events);

  uppy.on('upload-progress', (_, { bytesUploaded, bytesTotal }) => {
    run.movedAt = Date.now();
    run.isAtEnd = bytesUploaded === bytesTotal;
    if (!run.ended) events.onProgress(bytesUploaded);
  });
  uppy.on('upload-success', (_, response) => {
    const { xhr } = (response.body ?? {}) as { xhr?: XMLHttpRequest };
    end(() => events.onDone(xhr?.getResponseHeader('Tidemark-File-Id') ?? null));
  });
  uppy.on('upload-error', () => end(() => events.onFailed(run.refusal ?? noAnswer())));
  const watch = setInterval(() => {
    if (isSilent(run)) end(() => events.onFailed(noAnswer('nothing moves')));
  }, 1_000);

  function end(tell: () => void): void {
    if (run.ended) return;
    run.ended = true;
    clearInterval(watch);
    // In a later turn: the plugin still uses the upload while it reports its end.
    setTimeout(() => dispose(uppy, id));
    tell();
  }

  function setPaused(wanted: boolean): void {
    if (run.ended || run.isPaused === wanted) return;
    run.isPaused = wanted;
    run.movedAt = Date.now();
    uppy.pauseResume(id);
  }

  const id = uppy.addFile({ name: about.name, type: file.type, data: file, meta: labels });
  if (about.url !== null) uppy.setFileState(id, { tus: { uploadUrl: ownUrl(about.url) } });
  // The events above report the outcome.
  uppy.upload().catch(() => undefined);

  return {
    pause: () => setPaused(true),
    resume: () => setPaused(false),
    stop: () => end(() => undefined),
    cancel: () => end(() => uppy.removeFile(id)),
  };
}

/** Creates an Uppy for a single file: one for several would retry all its failed files when the next upload begins. */
function openUppy(fields: string[], run: Run, events: TransferEvents): Uppy {
  const uppy = new Uppy({ autoProceed: false });
  uppy.use(Tus, {
    id: PLUGIN,
    endpoint: serviceUrl('uploads'),
    httpStack: new OwnOrigin({}),
    limit: 1,
    chunkSize: run.chunkSize,
    retryDelays: [],
    // The queue keeps its own journal.
    storeFingerprintForResuming: false,
    // Only the fields that are there: for any other, Uppy sends the word "undefined".
    allowedMetaFields: fields,
    onBeforeRequest: (sent: HttpRequest) => {
      run.refusal = null;
      for (const [name, value] of Object.entries(authorization())) sent.setHeader(name, value);
    },
    onAfterResponse: (sent: HttpRequest, answer: HttpResponse) => lookAt(run, events, sent, answer),
  });
  return uppy;
}

/** Looks at each answer. @throws the refusal of a HEAD, after which the library must not continue. */
function lookAt(run: Run, events: TransferEvents, sent: HttpRequest, answer: HttpResponse): void {
  const status = answer.getStatus();
  const method = sent.getMethod();
  run.movedAt = Date.now();
  if (status >= 400) run.refusal = refusalOf(status, answer.getBody(), answer.getHeader('Retry-After'));
  if (run.refusal && method === 'PATCH') run.refusal = learnSize(run, run.refusal, sent, answer);
  if (status === 401) askForToken(authorization());
  const lifeMs = lifeLeftMs(answer.getHeader('Upload-Expires'), Date.now());
  if (!run.ended && lifeMs !== null) events.onLife(lifeMs);
  const location = answer.getHeader('Location');
  if (!run.ended && method === 'POST' && status === 201 && location) events.onUrl(ownUrl(location));
  if (method !== 'HEAD' || !run.refusal) return;
  // tus-js-client begins a new upload after any refusal of a HEAD, but only a lost upload is to be replaced.
  if (!isGone(run.refusal) || events.onGone() === 'fail') throw run.refusal;
}

/** Learns from a refused PATCH how large a request may be. @returns the refusal, with a code of its own where it did. */
function learnSize({ size, chunkSize }: Run, refusal: ApiError, sent: HttpRequest, answer: HttpResponse): ApiError {
  const { status, code, message } = refusal;
  if (!isRefusedOnTheWay(status, code, answer.getHeader('Tus-Resumable'))) return refusal;
  const sentBytes = Math.min(chunkSize, size - Number(sent.getHeader('Upload-Offset') ?? 0));
  return learnRequestSize(sentBytes) ? new ApiError(REQUEST_TOO_LARGE, status, message) : refusal;
}

function isSilent({ isPaused, isAtEnd, movedAt }: Run): boolean {
  return !isPaused && Date.now() - movedAt >= (isAtEnd ? SILENCE_AT_END_MS : SILENCE_MS);
}

/**
 * Releases everything that belongs to a transfer. What it has stored stays at the service: without the plugin's own reference
 * to the upload, Uppy does not end it there.
 */
function dispose(uppy: Uppy, id: string): void {
  uppy.getPlugin<Tus<Meta, Record<string, never>>>(PLUGIN)?.resetUploaderReferences(id);
  uppy.destroy();
}
