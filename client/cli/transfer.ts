/**
 * Sends bytes to the service over the tus protocol, however often the connection breaks. tus-js-client speaks the protocol,
 * one attempt at a time. core/transfer-phases.ts decides what follows each attempt, and this file carries it out.
 */
import { DetailedError, Upload } from 'tus-js-client';
import type { UrlStorage } from 'tus-js-client';
import { isBegunFor, mayBeginAnew, replacesAnother } from '../core/beginnings.ts';
import { LOOK_INTERVAL_MS, watchOtherSender } from '../core/other-sender.ts';
import { isGone } from '../core/refusals.ts';
import { type Outcome, type Phase, phaseAfter } from '../core/transfer-phases.ts';
import { CliError, ServiceError, isTakeOver, isTransient } from './errors.ts';
import { createPatience, patiently, sleep } from './retry.ts';
import type { Patience, Wait } from './retry.ts';
import type { ServiceClient } from './service-client.ts';
import { UploadUnusableError, createSourceReader, createTusStack } from './tus-stack.ts';
import type { TusObserver, UploadSource } from './tus-stack.ts';

/** A file of at most this size is sent with the creation of its upload: one round trip instead of two. */
const WITH_CREATION_BYTES = 256 * 1024;

export interface TransferOptions {
  service: ServiceClient;
  source: UploadSource;
  /** Keys as the service knows them: filename, filetype, md5, sha256. */
  metadata: Record<string, string>;
  /** An unfinished upload to resume. */
  uploadUrl: string | null;
  /** Most bytes in one request; null for no limit. */
  chunkSizeBytes: number | null;
  signal: AbortSignal;
  /** Called before the first byte is sent. `adopted`: another run or client began the upload. `lifeMs`: see `lifeLeftMs`. */
  onUploadUrl: (upload: { url: string; adopted: boolean; lifeMs: number | null }) => Promise<void>;
  /** Asks the service what became of a creation that got no answer. */
  findCreated: () => Promise<{ uploadUrl: string | null; fileId: string | null }>;
  /** The upload is lost, and must not be resumed again. */
  onUploadGone: () => Promise<void>;
  /** The offset that the service reports: less than what was sent where bytes got lost. */
  onOffset: (offset: number) => void;
  /** Bytes were sent, up to this position. */
  onSending: (position: number) => void;
  onWait: (wait: Wait) => void;
  /** Another client has taken the upload over. */
  onTakenOver: () => void;
}

export interface TransferResult {
  /** Null where the answer to a creation got lost, and the creation published the file. */
  uploadUrl: string | null;
  /** Null where the answer that contained it got lost. */
  fileId: string | null;
  fileUrl: string | null;
  /** Bytes sent, including those that were sent again. */
  sentBytes: number;
  /** Where the first request of this run began. */
  startOffset: number;
  /** The name with which another run or client began the upload (null: without one); null where this run began it. */
  adopted: { name: string | null } | null;
  /** Another client may have sent bytes of it meanwhile. */
  shared: boolean;
}

type Action = Exclude<Phase, 'done' | 'fail'>;

/** What is known of a transfer under way. */
interface Course {
  uploadUrl: string | null;
  fileId: string | null;
  fileUrl: string | null;
  sentBytes: number;
  startOffset: number | null;
  /** The largest offset that the service has reported. */
  furthest: number;
  /** The size, once the last bytes have been sent. */
  wholeBytes: number;
  begunAnew: number;
  /** Another run or client began the upload. */
  isBegunElsewhere: boolean;
  /** How long the service keeps the upload without another byte. */
  lifeMs: number | null;
  adopted: TransferResult['adopted'];
  shared: boolean;
}

/**
 * Sends the source until the service has all of it.
 *
 * @throws the error that no retry would cure; CliError `gave_up` after `--retry-for`; the signal's reason.
 */
export async function transfer(options: TransferOptions): Promise<TransferResult> {
  const { signal, source } = options;
  const patience = createPatience(options.service.settings.retryForMs);
  const course = newCourse(options.uploadUrl);
  let phase: Action = 'send';
  for (;;) {
    signal.throwIfAborted();
    let outcome: Outcome;
    let failure: unknown;
    try {
      outcome = await act(phase, options, course, patience);
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
      outcome = outcomeOf(error);
    }
    const next = phaseAfter(outcome, {
      hasUpload: course.uploadUrl !== null,
      hasFile: course.fileId !== null,
      canBeginAnew: canStartOver(source) && mayBeginAnew(course.begunAnew),
    });
    if (outcome === 'lost' && course.uploadUrl !== null) await options.onUploadGone();
    if (next === 'done') return resultOf(course);
    if (next === 'fail') throw failure;
    if (outcome === 'takenOver' || outcome === 'obstacle') await pause(next, failure, options, course, patience);
    phase = next;
  }
}

/** Carries out a phase. @returns its outcome. */
function act(phase: Action, options: TransferOptions, course: Course, patience: Patience): Promise<Outcome> {
  switch (phase) {
    case 'standBack':
      return standBack(options, course, patience);
    case 'findCreated':
      return findCreated(options, course);
    case 'beginAnew':
      beginAnew(options, course, patience);
      return attempt(options, course, patience);
    case 'send':
      return attempt(options, course, patience);
  }
}

function newCourse(uploadUrl: string | null): Course {
  return {
    uploadUrl,
    fileId: null,
    fileUrl: null,
    sentBytes: 0,
    startOffset: null,
    furthest: 0,
    wholeBytes: 0,
    begunAnew: 0,
    isBegunElsewhere: uploadUrl !== null,
    lifeMs: null,
    adopted: null,
    shared: false,
  };
}

/** Forgets the upload, and what is known of it: the next attempt creates another one. */
function beginAnew(options: TransferOptions, course: Course, patience: Patience): void {
  const { fileId, fileUrl, sentBytes, begunAnew } = course;
  Object.assign(course, newCourse(null), { fileId, fileUrl, sentBytes, begunAnew: begunAnew + 1 });
  patience.progress();
  options.onOffset(0);
}

function resultOf({ uploadUrl, fileId, fileUrl, sentBytes, startOffset, adopted, shared }: Course): TransferResult {
  return { uploadUrl, fileId, fileUrl, sentBytes, startOffset: startOffset ?? 0, adopted, shared };
}

/** One run of the library, from HEAD or POST to success or to the first error. */
async function attempt(options: TransferOptions, course: Course, patience: Patience): Promise<Outcome> {
  const most = (await options.service.requestSize.most()) ?? Number.POSITIVE_INFINITY;
  return new Promise((resolve, reject) => {
    const { service, source, signal } = options;
    const observer = observe(options, course, patience);
    const upload = new Upload(Buffer.alloc(0), {
      // Without an endpoint, the library cannot begin a new upload by itself when a HEAD fails.
      ...(course.uploadUrl === null ? { endpoint: service.uploadsUrl } : { uploadUrl: course.uploadUrl }),
      metadata: options.metadata,
      chunkSize: Math.min(options.chunkSizeBytes ?? Number.POSITIVE_INFINITY, most),
      uploadLengthDeferred: source.size === null,
      uploadDataDuringCreation: source.size !== null && source.size <= WITH_CREATION_BYTES,
      retryDelays: null,
      httpStack: createTusStack({
        service,
        size: source.size,
        signal,
        observer,
        wholeBytes: () => course.wholeBytes,
      }),
      fileReader: createSourceReader(source),
      fingerprint: () => Promise.resolve('tidemark'),
      urlStorage: recordUrl(options, course),
      onUploadUrlAvailable: () => {
        course.uploadUrl = upload.url;
      },
      onSuccess: () => {
        if (course.uploadUrl !== null) resolve('sent');
        else reject(new CliError('protocol', 'the service did not say where the upload is'));
      },
      onError: (error) => reject(causeOf(error)),
    });
    upload.start();
  });
}

function observe(options: TransferOptions, course: Course, patience: Patience): TusObserver {
  return {
    onDeclared(metadata) {
      if (!course.isBegunElsewhere) return;
      if (!isBegunFor(metadata.get('sha256'), options.metadata['sha256'])) {
        throw new UploadUnusableError('the unfinished upload may be for other bytes');
      }
      const name = metadata.get('filename') ?? null;
      if (replacesAnother({ name, onConflict: metadata.get('onconflict') }, options.metadata['filename'] ?? '')) {
        throw new UploadUnusableError('the unfinished upload would replace the file of another name');
      }
      course.adopted = { name };
    },
    onLife(lifeMs) {
      course.lifeMs = lifeMs;
    },
    onOffset(offset) {
      course.startOffset ??= offset;
      if (offset > course.furthest) patience.progress();
      course.furthest = Math.max(course.furthest, offset);
      options.onOffset(offset);
    },
    onSending(bytes, position) {
      course.startOffset ??= position - bytes;
      course.sentBytes += bytes;
      options.onSending(position);
    },
    onLast(size) {
      course.wholeBytes = size;
    },
    onPublished(id, url) {
      course.fileId = id;
      course.fileUrl = url;
    },
  };
}

// This is the only hook for which the library waits between the creation of an upload and its first byte.
function recordUrl(options: TransferOptions, course: Course): UrlStorage {
  return {
    findAllUploads: () => Promise.resolve([]),
    findUploadsByFingerprint: () => Promise.resolve([]),
    removeUpload: () => Promise.resolve(),
    addUpload: async (_fingerprint, { uploadUrl }) => {
      const { isBegunElsewhere: adopted, lifeMs } = course;
      if (uploadUrl !== null) await options.onUploadUrl({ url: uploadUrl, adopted, lifeMs });
      return 'tidemark';
    },
  };
}

/** Looks up what became of a creation that got no answer. */
async function findCreated(options: TransferOptions, course: Course): Promise<Outcome> {
  const { uploadUrl, fileId } = await options.findCreated();
  Object.assign(course, { uploadUrl, fileId, isBegunElsewhere: uploadUrl !== null });
  return 'settled';
}

/**
 * Leaves the upload to the client that has taken it over: if both took it back each time, they would interrupt each other
 * for ever. Returns when the upload has all its bytes or gets no more of them, or when a new upload would be done sooner.
 */
async function standBack(options: TransferOptions, course: Course, patience: Patience): Promise<Outcome> {
  const { service, source, signal, onWait } = options;
  const watch = watchOtherSender(performance.now(), source.size);
  const observer = observe(options, course, patience);
  for (;;) {
    const url = course.uploadUrl ?? '';
    const look = { method: 'HEAD', url, headers: { 'Tus-Resumable': '1.0.0' }, signal, workBytes: course.wholeBytes };
    // An answer to a look is no progress of the transfer: each look has its own time to retry.
    const own = createPatience(service.settings.retryForMs);
    const { headers } = await patiently(() => service.tus(look), { patience: own, signal, onWait });
    const offset = Number(headers['upload-offset']);
    if (!Number.isSafeInteger(offset)) return 'settled';
    observer.onOffset(offset);
    if (String(offset) === headers['upload-length']) return 'settled';
    const idle = headers['tidemark-idle'];
    const verdict = watch(performance.now(), offset, idle === undefined ? undefined : Number(idle));
    if (verdict !== 'moving') return verdict === 'slow' ? 'slow' : 'settled';
    await sleep(LOOK_INTERVAL_MS, signal);
  }
}

/** Waits before the next attempt; not before it watches another client. @throws CliError `gave_up`. */
async function pause(
  next: Phase,
  error: unknown,
  options: TransferOptions,
  course: Course,
  patience: Patience,
): Promise<void> {
  const delayMs = patience.next(error);
  if (next === 'standBack') {
    course.shared = true;
    options.onTakenOver();
    return;
  }
  if (error instanceof ServiceError && error.status === 409) {
    // At our last HEAD, the service was still storing bytes of an earlier request: the next HEAD has the right offset.
    if (course.furthest === course.startOffset) course.startOffset = null;
  } else {
    options.onWait({ delayMs, error });
  }
  await sleep(delayMs, options.signal);
}

function outcomeOf(error: unknown): Outcome {
  if (isLost(error)) return 'lost';
  if (!isTransient(error)) return 'fatal';
  return isTakeOver(error) ? 'takenOver' : 'obstacle';
}

/** Whether the upload is lost or unusable, as opposed to a problem of the service or the request. */
function isLost(error: unknown): boolean {
  if (error instanceof UploadUnusableError) return true;
  return error instanceof ServiceError && error.method !== 'POST' && isGone(error);
}

/** Whether the source can be read from its beginning again; a pipe cannot. */
function canStartOver(source: UploadSource): boolean {
  return source.size !== null;
}

function causeOf(error: Error): Error {
  if (!(error instanceof DetailedError)) return error;
  if (error.causingError) return error.causingError;
  const [what] = error.message.split(', originated from request');
  return new CliError('protocol', `the server does not speak tus as it should (${what}); is the address right?`);
}
