/** Sending one file's bytes: Uppy with its tus plugin, without its retries: the queue knows why to wait. */
import Uppy from '@uppy/core';
import Tus from '@uppy/tus';
import type { HttpRequest, HttpResponse } from 'tus-js-client';
import { askForToken, authorization } from './access.ts';
import { mediaTypeOf } from '../../../server/wire/labels.ts';
import { ApiError, refusalOf } from './api.ts';
import { ownUrl, serviceUrl } from './base.ts';
import { OwnOrigin } from './tus-stack.ts';

export interface TransferEvents {
  /** The upload's address is known. */
  onUrl(url: string): void;
  /** Bytes the service has, with those on the line. */
  onProgress(sent: number): void;
  /** What was sent earlier is gone; it begins at byte 0. */
  onRestart(): void;
  onDone(fileId: string | null): void;
  onFailed(error: ApiError): void;
}

export interface Transfer {
  pause(): void;
  resume(): void;
  /** Gives it up, at the service too. */
  cancel(): void;
}

/** No byte moves for so long: the line is dead, and nobody says so. */
const SILENCE_MS = 30_000;
/** The last answer comes after the verification, which may have to read what is stored already. */
const SILENCE_AT_END_MS = 300_000;

/** What a file is called and known by. */
export interface About {
  name: string;
  path: string;
  md5: string;
  sha256: string;
  /** Of the upload that was begun. */
  url: string | null;
}

/** With a longer path the service might refuse the whole of the labels. */
const MAX_PATH_BYTES = 4_096;

/** What is said about a file beside its bytes: what there is of it. */
function labelsOf(file: File, { name, path, md5, sha256 }: About): Record<string, string> {
  const type = mediaTypeOf(file.type);
  const hasFolders = path !== name && new TextEncoder().encode(path).length <= MAX_PATH_BYTES;
  return {
    filename: name,
    ...(type === null ? {} : { filetype: type }),
    ...(hasFolders ? { relativePath: path } : {}),
    md5,
    sha256,
  };
}

export function startTransfer(file: File, about: About, events: TransferEvents): Transfer {
  const labels = labelsOf(file, about);
  let ended = false;
  let isPaused = false;
  let isAtEnd = false;
  let movedAt = Date.now();
  /** Of the latest request; Uppy aborts what has failed, and its answer can be read no more. */
  let refusal: ApiError | null = null;

  // One for each: Uppy retries whatever has failed in it when the next upload begins.
  const uppy = new Uppy({ autoProceed: false });
  uppy.use(Tus, {
    endpoint: serviceUrl('uploads'),
    httpStack: new OwnOrigin({}),
    limit: 1,
    retryDelays: [],
    // The queue keeps its own journal.
    storeFingerprintForResuming: false,
    // Only what is there: for a field that is not, Uppy sends the word "undefined".
    allowedMetaFields: Object.keys(labels),
    onBeforeRequest: (sent: HttpRequest) => {
      refusal = null;
      for (const [name, value] of Object.entries(authorization())) sent.setHeader(name, value);
    },
    onAfterResponse: (sent: HttpRequest, answer: HttpResponse) => lookAt(sent.getMethod(), answer),
  });

  function lookAt(method: string, answer: HttpResponse): void {
    const status = answer.getStatus();
    movedAt = Date.now();
    if (status >= 400) refusal = refusalOf(status, answer.getBody());
    if (status === 401) askForToken(authorization());
    const location = answer.getHeader('Location');
    if (!ended && method === 'POST' && status === 201 && location) events.onUrl(ownUrl(location));
    if (method !== 'HEAD' || !refusal) return;
    // tus-js-client begins anew after whatever a HEAD is refused with; only these mean that there is nothing to go on with.
    if (status === 404 || status === 410) events.onRestart();
    else throw refusal;
  }

  uppy.on('upload-progress', (_, { bytesUploaded, bytesTotal }) => {
    movedAt = Date.now();
    isAtEnd = bytesUploaded === bytesTotal;
    if (!ended) events.onProgress(bytesUploaded);
  });
  uppy.on('upload-success', (_, response) => {
    const { xhr } = (response.body ?? {}) as { xhr?: XMLHttpRequest };
    dispose();
    if (end()) events.onDone(xhr?.getResponseHeader('Tidemark-File-Id') ?? null);
  });
  uppy.on('upload-error', () => {
    dispose();
    if (end()) events.onFailed(refusal ?? new ApiError('offline', 0, 'no answer'));
  });

  const watch = setInterval(() => {
    if (isPaused || Date.now() - movedAt < (isAtEnd ? SILENCE_AT_END_MS : SILENCE_MS)) return;
    // Aborted, and left at the service: the queue takes it up again.
    uppy.pauseResume(id);
    if (end()) events.onFailed(new ApiError('offline', 0, 'nothing moves'));
  }, 1_000);

  function end(): boolean {
    clearInterval(watch);
    const first = !ended;
    ended = true;
    return first;
  }

  /** Once its plugin has let go of the upload: before, it would end it at the service, and the file with it. */
  function dispose(): void {
    setTimeout(() => uppy.destroy());
  }

  function setPaused(wanted: boolean): void {
    if (ended || isPaused === wanted) return;
    isPaused = wanted;
    movedAt = Date.now();
    uppy.pauseResume(id);
  }

  const id = uppy.addFile({
    name: about.name,
    type: file.type,
    data: file,
    meta: labels,
  });
  if (about.url !== null) uppy.setFileState(id, { tus: { uploadUrl: ownUrl(about.url) } });
  // How it went is told by the events.
  uppy.upload().catch(() => undefined);

  return {
    pause: () => setPaused(true),
    resume: () => setPaused(false),
    cancel: () => {
      if (end()) uppy.removeFile(id);
    },
  };
}
