/**
 * Bytes to the service, over the tus protocol, through whatever breaks on the way.
 * tus-js-client speaks the protocol, one attempt at a time; when to try again and
 * when to give up is decided here.
 */
import { DetailedError, Upload } from 'tus-js-client';
import type { UrlStorage } from 'tus-js-client';
import { CliError, ServiceError, isTakenOver, isTransient } from './errors.ts';
import { LOOK_INTERVAL_MS, watchOtherSender } from './other-sender.ts';
import { createPatience, patiently, sleep } from './retry.ts';
import type { Wait } from './retry.ts';
import type { ServiceClient } from './service-client.ts';
import { UploadUnusableError, createSourceReader, createTusStack } from './tus-stack.ts';
import type { TusObserver, UploadSource } from './tus-stack.ts';

/** A small file travels with the request that announces it: one round trip instead of two. */
const WITH_CREATION_BYTES = 256 * 1024;

export interface TransferOptions {
  service: ServiceClient;
  source: UploadSource;
  /** Keys as the service knows them: filename, filetype, md5, sha256. */
  metadata: Record<string, string>;
  /** An unfinished upload to go on with. */
  uploadUrl: string | null;
  /** Most bytes in one request; null for all that is left in one. */
  chunkSizeBytes: number | null;
  signal: AbortSignal;
  /** Told before the first byte is sent; `adopted`: another run or client has begun the upload. */
  onUploadUrl: (upload: { url: string; adopted: boolean }) => Promise<void>;
  /** Asked when a creation got no answer: what has become of it as far as the service can tell. */
  findCreated: () => Promise<{ uploadUrl: string | null; fileId: string | null }>;
  /** The upload is not to be gone on with. */
  onUploadGone: () => Promise<void>;
  /** Where the service says that the transfer stands; less than what was sent when bytes got lost. */
  onOffset: (offset: number) => void;
  /** Bytes have left, up to this position. */
  onSending: (position: number) => void;
  onWait: (wait: Wait) => void;
  /** Someone else has gone on with the upload. */
  onTakenOver: () => void;
}

export interface TransferResult {
  /** null when a creation was published whose answer got lost. */
  uploadUrl: string | null;
  /** As the service said it; null when that answer got lost. */
  fileId: string | null;
  fileUrl: string | null;
  /** Bytes sent, those included that had to be sent again. */
  sentBytes: number;
  /** Where the first request of this run began. */
  startOffset: number;
  /** How the upload was begun, where it was not begun here; `name` null where it was given none. */
  adopted: { name: string | null } | null;
  /** Someone else may have sent bytes of it while it was gone on with here. */
  shared: boolean;
}

/** Sends the source until the service has all of it. */
export async function transfer(options: TransferOptions): Promise<TransferResult> {
  const patience = createPatience(options.service.settings.retryForMs);
  let uploadUrl = options.uploadUrl;
  let fileId: string | null = null;
  let fileUrl: string | null = null;
  let sentBytes = 0;
  let startOffset: number | null = null;
  let furthest = 0;
  let wholeBytes = 0;
  let restarted = false;
  let adopted: TransferResult['adopted'] = null;
  let shared = false;
  /** Whether the upload is one that another run or client has begun. */
  let isBegunElsewhere = uploadUrl !== null;

  const observer: TusObserver = {
    onDeclared(metadata): void {
      if (!isBegunElsewhere) return;
      // MD5 names, it does not prove: only what declared the same SHA-256 was begun for these bytes.
      if (metadata.get('sha256')?.toLowerCase() !== options.metadata['sha256']) {
        throw new UploadUnusableError('the unfinished upload is not certain to be of the same bytes');
      }
      adopted = { name: metadata.get('filename') ?? null };
    },
    onOffset(offset: number): void {
      startOffset ??= offset;
      if (offset > furthest) patience.progress();
      furthest = Math.max(furthest, offset);
      options.onOffset(offset);
    },
    onSending(bytes: number, position: number): void {
      startOffset ??= position - bytes;
      sentBytes += bytes;
      options.onSending(position);
    },
    onLast(size: number): void {
      wholeBytes = size;
    },
    onPublished(id: string, url: string | null): void {
      fileId = id;
      fileUrl = url;
    },
  };

  /** One run of the library, from HEAD or POST to success or to the first thing that goes wrong. */
  function attempt(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { service, source, signal } = options;
      const stack = createTusStack({ service, size: source.size, signal, observer, wholeBytes: () => wholeBytes });
      const upload = new Upload(Buffer.alloc(0), {
        // Without an endpoint the library cannot begin a new upload behind our back when a HEAD fails.
        ...(uploadUrl === null ? { endpoint: options.service.uploadsUrl } : { uploadUrl }),
        metadata: options.metadata,
        chunkSize: options.chunkSizeBytes ?? Number.POSITIVE_INFINITY,
        uploadLengthDeferred: options.source.size === null,
        uploadDataDuringCreation: options.source.size !== null && options.source.size <= WITH_CREATION_BYTES,
        retryDelays: null,
        httpStack: stack,
        fileReader: createSourceReader(options.source),
        fingerprint: () => Promise.resolve('tidemark'),
        urlStorage: recordUrl(),
        onUploadUrlAvailable: () => {
          uploadUrl = upload.url;
        },
        onSuccess: () => resolve(),
        onError: (error) => reject(causeOf(error)),
      });
      upload.start();
    });
  }

  // The one hook of the library that is waited for between "the upload exists" and its first byte.
  function recordUrl(): UrlStorage {
    return {
      findAllUploads: () => Promise.resolve([]),
      findUploadsByFingerprint: () => Promise.resolve([]),
      removeUpload: () => Promise.resolve(),
      addUpload: async (_fingerprint, upload) => {
        const url = upload.uploadUrl;
        if (url !== null) await options.onUploadUrl({ url, adopted: isBegunElsewhere });
        return 'tidemark';
      },
    };
  }

  /**
   * Leaves the upload to whoever took it over: taking it back at once would go on for
   * ever, each side interrupting the other. Ends when the upload has all its bytes or
   * gets no more, and when a new one of our own is the better choice.
   */
  async function standBack(): Promise<void> {
    const { service, source, signal } = options;
    const watch = watchOtherSender(source.size);
    while (uploadUrl !== null) {
      const headers = { 'Tus-Resumable': '1.0.0' };
      const url = uploadUrl;
      const answer = await patiently(
        () => service.tus({ method: 'HEAD', url, headers, signal, workBytes: wholeBytes }),
        {
          // That the service answers is no progress of the transfer.
          patience: createPatience(service.settings.retryForMs),
          signal,
          onWait: options.onWait,
        },
      );
      const offset = Number(answer.headers['upload-offset']);
      if (!Number.isSafeInteger(offset)) return;
      observer.onOffset(offset);
      if (String(offset) === answer.headers['upload-length']) return;
      const idle = answer.headers['tidemark-idle'];
      const verdict = watch(offset, idle === undefined ? undefined : Number(idle));
      if (verdict === 'silent') return;
      if (verdict === 'slow' && !restarted && canStartOver(source)) startOver();
      else if (verdict === 'slow') return;
      else await sleep(LOOK_INTERVAL_MS, signal);
    }
  }

  function startOver(): void {
    restarted = true;
    uploadUrl = null;
    isBegunElsewhere = false;
    adopted = null;
    shared = false;
    startOffset = null;
    furthest = 0;
    wholeBytes = 0;
    patience.progress();
    options.onOffset(0);
  }

  function result(): TransferResult {
    return { uploadUrl, fileId, fileUrl, sentBytes, startOffset: startOffset ?? 0, adopted, shared };
  }

  let takenOver = false;
  let creationLost = false;
  for (;;) {
    options.signal.throwIfAborted();
    try {
      if (takenOver) await standBack();
      takenOver = false;
      if (creationLost) {
        ({ uploadUrl, fileId } = await options.findCreated());
        isBegunElsewhere = uploadUrl !== null;
      }
      creationLost = false;
      // A small file travels with its creation, and may have been published by it.
      if (uploadUrl === null && fileId !== null) return result();
      await attempt();
      if (uploadUrl === null) throw new CliError('protocol', 'the service did not say where the upload is');
      return result();
    } catch (error) {
      options.signal.throwIfAborted();
      if (uploadUrl !== null && isGone(error)) {
        await options.onUploadGone();
        // Once: a service that loses every upload will lose the next one too.
        if (restarted || !canStartOver(options.source)) throw error;
        startOver();
        takenOver = false;
        continue;
      }
      if (!isTransient(error)) throw error;
      creationLost = uploadUrl === null;
      const delayMs = patience.next(error);
      if (uploadUrl !== null && isTakenOver(error)) {
        takenOver = true;
        shared = true;
        options.onTakenOver();
        continue;
      }
      if (error instanceof ServiceError && error.status === 409) {
        // The request of a client that died was still being stored when we asked: the next HEAD knows better.
        if (furthest === startOffset) startOffset = null;
      } else {
        options.onWait({ delayMs, error });
      }
      await sleep(delayMs, options.signal);
    }
  }
}

/** Whether the upload, not the service or the request, is what is wrong. */
function isGone(error: unknown): boolean {
  if (error instanceof UploadUnusableError) return true;
  return error instanceof ServiceError && error.method !== 'POST' && (error.status === 404 || error.status === 410);
}

/** What has been read from a pipe and sent is gone. */
function canStartOver(source: UploadSource): boolean {
  return source.size !== null;
}

function causeOf(error: Error): Error {
  if (!(error instanceof DetailedError)) return error;
  if (error.causingError) return error.causingError;
  const [what] = error.message.split(', originated from request');
  return new CliError('protocol', `the server does not speak tus as it should (${what}); is the address right?`);
}
