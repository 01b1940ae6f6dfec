/**
 * @tus/server, extended. The library runs the protocol's steps in order; `uploads/` keeps leases, bytes and state.
 * Differences from the library's own behaviour:
 *
 * - Its handlers are called directly, with small objects in place of web requests, responses and headers: those cost more
 *   than the rest of a small upload. `protocol.ts` checks the headers that the library's server would have checked.
 * - A body reaches the store as the request's own stream. The library turns it into
 *   a web stream and back, through two more streams, which costs more than storing it.
 * - Each request has its own handlers and data store, over the writer that it holds. Whatever id the library passes to the
 *   data store, that writer answers, so that a request that lost its lease cannot commit.
 * - HEAD takes no lock: looking at an upload never disturbs a transfer. Its answer comes from a single row.
 * - A length that a PATCH declares is stored only with its bytes: a refused request has declared nothing.
 */
import type { Readable } from 'node:stream';
import { DataStore, ERRORS, Server, Upload } from '@tus/server';
import type { Capabilities } from '../../../stores/store.ts';
import type { Received, Uploads, UploadView } from '../../uploads/contract.ts';
import { Refusal } from '../../refusal.ts';
import { type ErrorCode, hasCode, TidemarkError } from '../../uploads/errors.ts';
import type { Writer } from '../../uploads/writer.ts';
import { uploadPath } from '../../wire/addresses.ts';
import { type BodyChecksum, CHECKSUM_EXTENSIONS } from './checksum.ts';
import { stateHeaders } from './concatenation.ts';
import { lengthOf } from './length.ts';
import { bodyTooLarge, invalidHeader } from './refusals.ts';

/** One request on its way through the library, and what becomes known of it. */
export interface Exchange {
  readonly uploads: Uploads;
  readonly owner: string;
  readonly baseUrl: string;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  readonly body: Readable;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** What a PATCH or POST says about its body's checksum. */
  readonly checksum: BodyChecksum | null;
  /** A POST whose body has bytes. */
  readonly bringsBody: boolean;
  uploadId: string | undefined;
  /** Call it when the request has begun to write, or has ended; see `markComing` of uploads. */
  begun: () => void;
  /** The upload as HEAD saw it, as POST created it, or as it was before the body was written. */
  upload: UploadView | undefined;
  /** The writer of a POST that brings bytes: held since the upload was created. */
  writer: Writer | undefined;
  /** What the writer has received of the body; undefined where nothing was written. */
  received: Received | undefined;
  /** Why the request was refused. */
  error: TidemarkError | Refusal | undefined;
}

type Handler = Server['handlers'][keyof Server['handlers']];
type LibraryRequest = Parameters<Handler['send']>[0];
type LibraryContext = Parameters<Handler['send']>[1];
type Lock = Awaited<ReturnType<Handler['acquireLock']>>;

const NOTHING_LOCKED: Lock = { lock: async () => undefined, unlock: async () => undefined };

/** What the library reads of a request. */
export interface TusRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  readonly body: null;
}

/** What the library answers: never a body. */
export interface TusAnswer {
  readonly status: number;
  readonly headers: Iterable<[string, string]>;
}

export interface TusLibrary {
  /** @returns undefined where the request is refused: `exchange.error` says why. */
  handle(request: TusRequest, exchange: Exchange): Promise<TusAnswer | undefined>;
}

export interface TusLibraryOptions {
  capabilities: Capabilities;
  maxFileSizeBytes: number | null;
  /** Creates an upload from a POST's headers. @returns its writer, where the POST brings bytes. */
  begin: (id: string, exchange: Exchange, size: number | null) => Promise<UploadView | Writer>;
  newId: () => string;
}

/** The request that the library's hooks get: it carries its exchange. */
type OwnRequest = TusRequest & { exchange: Exchange };

export function createTusLibrary(options: TusLibraryOptions): TusLibrary {
  const extensions = listExtensions(options.capabilities);
  const server = createServer(options, extensions);

  async function openExisting(request: LibraryRequest, exchange: Exchange, id: string): Promise<Writer> {
    const offset = request.method === 'PATCH' ? Number(exchange.headers['upload-offset']) : undefined;
    return exchange.uploads.open(id, exchange.owner, { signal: exchange.gone, offset });
  }

  /** The library's handler of a method, for one request: its data store and lock are over that request's own writer. */
  function handlerFor(method: keyof Server['handlers'], exchange: Exchange): Handler {
    const store = new ExchangeStore(extensions);

    async function acquireLock(request: LibraryRequest, id: string): Promise<Lock> {
      exchange.uploadId = id;
      // A POST without bytes needs no lease: the first PATCH takes it.
      if (exchange.upload && !exchange.bringsBody) return NOTHING_LOCKED;
      const writer = exchange.writer ?? (await openExisting(request, exchange, id));
      store.writer = writer;
      return {
        lock: async () => undefined,
        unlock: async () => {
          await writer.release();
          exchange.begun();
        },
      };
    }

    return Object.assign(Object.create(server.handlers[method]) as Handler, {
      store,
      acquireLock,
      write: answer,
      writeToStore: (_body: unknown, _upload: Upload, maxBytes: number) =>
        writeBody(exchange, store.requireWriter(), { maxBytes, length: store.length }),
    });
  }

  async function send(request: TusRequest, exchange: Exchange): Promise<TusAnswer> {
    const own: OwnRequest = { ...request, exchange };
    const known = own as never as LibraryRequest;
    const method = request.method as keyof Server['handlers'];
    if (method === 'HEAD') return look(exchange, server.handlers.HEAD.getFileIdFromRequest(known));
    // The library calls `abort` before it throws the error of a request, which is handled below; its own lock, which would
    // call `cancel`, is not used.
    const context: LibraryContext = { signal: exchange.gone, abort: () => undefined, cancel: () => undefined };
    const headers = new Map<string, string>() as never as Headers;
    return handlerFor(method, exchange).send(known, context, headers);
  }

  return {
    handle: async (request, exchange) => {
      try {
        return await send(request, exchange);
      } catch (error) {
        exchange.error = whyRefused(error, exchange);
        return undefined;
      }
    },
  };
}

/** The library's server: its settings, and the hooks for the creation and the end of an upload. */
function createServer(options: TusLibraryOptions, extensions: string[]): Server {
  return new Server({
    path: '/uploads',
    datastore: new ExchangeStore(extensions),
    locker: {
      newLock: () => {
        throw new Error('leases are taken by acquireLock below');
      },
    },
    ...(options.maxFileSizeBytes === null ? {} : { maxSize: options.maxFileSizeBytes }),
    namingFunction: options.newId,
    generateUrl: (request, { id }) => exchangeOf(request).baseUrl + uploadPath(id),
    getFileIdFromRequest: (_request, lastPath) =>
      lastPath && /^[A-Za-z0-9-]{1,64}$/.test(lastPath) ? lastPath : undefined,
    onUploadCreate: async (request, upload) => {
      const exchange = exchangeOf(request);
      exchange.uploadId = upload.id;
      exchange.begun = exchange.uploads.markComing(upload.id);
      const begun = await options.begin(upload.id, exchange, upload.size ?? null);
      if ('append' in begun) exchange.writer = begun;
      exchange.upload = 'append' in begun ? begun.upload : begun;
      return {};
    },
    onUploadFinish: async (request, upload) => {
      const exchange = exchangeOf(request);
      // No writer has received anything where an empty file was created without a body. `begun` comes first, as `view`
      // would otherwise wait for this request to write.
      if (!exchange.received) {
        exchange.begun();
        exchange.upload = await exchange.uploads.view(upload.id, exchange.owner);
      }
      return {};
    },
  });
}

/** Answers HEAD in place of the library, whose handler would read the upload a second time. */
async function look(exchange: Exchange, id: string | undefined): Promise<TusAnswer> {
  if (id === undefined) throw new TidemarkError('not_found');
  exchange.uploadId = id;
  const upload = await exchange.uploads.view(id, exchange.owner);
  exchange.upload = upload;
  return { status: 200, headers: stateHeaders(upload) };
}

/** Writes a request's body by the request's writer. @returns the offset after it. */
async function writeBody(
  exchange: Exchange,
  writer: Writer,
  given: { maxBytes: number; length: number | undefined },
): Promise<number> {
  const { upload } = writer;
  if (upload.state !== 'receiving') {
    // The upload ended while this request waited for the lease: then `current` throws. Or it is complete, the answer to
    // its last PATCH was lost, and the client repeats that PATCH without bytes to be sure.
    exchange.upload = await exchange.uploads.current(upload.id, exchange.owner);
    return exchange.upload.offset;
  }
  const isNew = exchange.upload !== undefined;
  exchange.upload = upload;
  // A length that another protocol announced counts as declared here: in this one the last byte completes an upload.
  const length = given.length ?? (upload.size === null ? (lengthOf(upload) ?? undefined) : undefined);
  try {
    const { checksum, begun: onReading } = exchange;
    const about = checksum ? { checksum: checksum.expected, signal: checksum.refused } : {};
    exchange.received = await writer.append(exchange.body, { ...given, ...about, length, onReading });
    return exchange.received.offset;
  } catch (error) {
    // The POST is refused as a whole, so the client has no address at which it could resume: the upload is removed.
    if (isNew && isRefused(error)) await writer.end();
    throw error;
  }
}

const OF_BODY: readonly ErrorCode[] = ['too_large', 'over_quota', 'checksum_mismatch'];

/** Whether the error is about the body itself. */
function isRefused(error: unknown): boolean {
  return error instanceof Refusal || OF_BODY.some((code) => hasCode(error, code));
}

/** Builds the answer, in place of a web response. */
function answer(status: number, headers: Map<string, string> | Record<string, string>): TusAnswer {
  return { status, headers: headers instanceof Map ? headers : new Map(Object.entries(headers)) };
}

function exchangeOf(request: LibraryRequest): Exchange {
  return (request as never as OwnRequest).exchange;
}

function listExtensions(capabilities: Capabilities): string[] {
  return [
    'creation',
    'creation-with-upload',
    ...(capabilities.deferLength ? ['creation-defer-length'] : []),
    // The catalog keeps the expiry. getExpiration stays 0, so that the library does nothing about it.
    'expiration',
    ...(capabilities.terminate ? ['termination'] : []),
    ...CHECKSUM_EXTENSIONS,
    'concatenation',
    'concatenation-unfinished',
  ];
}

/** The library's data store for one request, over the request's writer. */
class ExchangeStore extends DataStore {
  writer: Writer | undefined;
  /** The length that this request declares, in bytes, before it is in the catalog. */
  length: number | undefined;

  constructor(extensions: string[]) {
    super();
    this.extensions = extensions;
  }

  requireWriter(): Writer {
    if (!this.writer) throw new Error('a request that writes without a lease');
    return this.writer;
  }

  override async create(upload: Upload): Promise<Upload> {
    // onUploadCreate has created it already, with its owner, whom the library does not know.
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const { upload } = this.requireWriter();
    const { offset, createdAt } = upload;
    const size = lengthOf(upload);
    return new Upload({
      id,
      offset,
      ...(size === null ? {} : { size }),
      creation_date: new Date(createdAt).toISOString(),
    });
  }

  override async declareUploadLength(_id: string, size: number): Promise<void> {
    // The library calls this before it writes the body.
    this.length = size;
  }

  override async remove(): Promise<void> {
    await this.requireWriter().remove();
  }

  override async write(): Promise<number> {
    throw new Error('bytes go through writeToStore, under a lease');
  }
}

/** Translates errors of the library, which are compared by identity; returns our own as they are. */
function whyRefused(error: unknown, exchange: Exchange): TidemarkError | Refusal {
  if (error instanceof TidemarkError || error instanceof Refusal) return error;
  const cause = error;
  switch (error) {
    case ERRORS.FILE_NOT_FOUND:
      return new TidemarkError('not_found', { cause });
    case ERRORS.INVALID_OFFSET:
      return new TidemarkError('offset_conflict', { cause });
    case ERRORS.INVALID_LENGTH:
      return invalidHeader(
        'Upload-Length',
        'Upload-Length can be declared once, and not below what has arrived.',
        cause,
      );
    case ERRORS.ERR_SIZE_EXCEEDED:
      return bodyTooLarge('The body has more bytes than the upload has left.', cause);
    case ERRORS.ERR_MAX_SIZE_EXCEEDED:
      return new TidemarkError('too_large', { cause, field: 'size' });
    default:
      return new TidemarkError(exchange.gone.aborted ? 'upload_taken_over' : 'internal', { cause });
  }
}
