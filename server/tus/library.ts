/**
 * @tus/server, extended: the library keeps the protocol's order of steps; leases,
 * bytes and state go to the life of uploads. What it does differently from its own:
 *
 * - Its handlers are called with what they read of a request, and what they answer is taken as it is: web requests,
 *   responses and their headers cost more than the rest of a small upload. What it would have checked of the headers
 *   before, `protocol.ts` does.
 * - A body reaches the store as the request's own stream. The library turns it into
 *   a web stream and back, through two more streams, which costs more than storing it.
 * - Each request has handlers and a data store of its own, over the writer that it holds. What the library names by an
 *   id is answered by that writer, so that one that lost its lease cannot commit.
 * - HEAD takes no lock: looking at an upload never disturbs a transfer. All that it tells is of one row.
 * - A length that a PATCH declares counts once the request is taken: one that is refused has declared nothing.
 */
import type { Readable } from 'node:stream';
import { DataStore, ERRORS, Server, Upload } from '@tus/server';
import type { Capabilities } from '../../stores/store.ts';
import type { Received, Uploads, UploadView } from '../uploads/contract.ts';
import { Refusal } from '../refusal.ts';
import { TidemarkError } from '../uploads/errors.ts';
import type { Writer } from '../uploads/writer.ts';
import { uploadPath } from '../wire/addresses.ts';
import { bodyTooLarge, invalidHeader } from './refusals.ts';

/** One request on its way through the library. */
export interface Exchange {
  readonly owner: string;
  readonly baseUrl: string;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  readonly body: Readable;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** A POST whose body has bytes. */
  readonly bringsBody: boolean;
  uploadId: string | undefined;
  /** To be called when the request has begun to write, or has ended; see `markComing` of uploads. */
  begun: () => void;
  /** The upload as HEAD saw it, or as POST made it. */
  upload: UploadView | undefined;
  /** Of a POST that brings bytes: held from the upload's first moment on. */
  writer: Writer | undefined;
  received: Received | undefined;
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

/** What it answers: never a body. */
export interface TusAnswer {
  readonly status: number;
  readonly headers: Iterable<[string, string]>;
}

export interface TusLibrary {
  /** @returns undefined where it is refused: why is in the exchange. */
  handle(request: TusRequest, exchange: Exchange): Promise<TusAnswer | undefined>;
}

export interface TusLibraryOptions {
  uploads: Uploads;
  capabilities: Capabilities;
  maxFileSizeBytes: number | null;
  /** Makes a new upload from a POST's headers; its writer, where the POST brings bytes. */
  begin: (id: string, exchange: Exchange, size: number | null) => Promise<UploadView | Writer>;
  newId: () => string;
}

/** What the library's hooks are given: the request, with what it belongs to. */
type OwnRequest = TusRequest & { exchange: Exchange };

export function createTusLibrary(options: TusLibraryOptions): TusLibrary {
  const { uploads } = options;
  const extensions = listExtensions(options.capabilities);
  const server = createServer(options, extensions);

  async function openExisting(request: LibraryRequest, exchange: Exchange, id: string): Promise<Writer> {
    const offset = request.method === 'PATCH' ? Number(exchange.headers['upload-offset']) : undefined;
    return uploads.open(id, exchange.owner, { signal: exchange.gone, offset });
  }

  /** The library's handler of a method, for one request: what it asks for is answered by that request's own writer. */
  function handlerFor(method: keyof Server['handlers'], exchange: Exchange): Handler {
    const store = new ExchangeStore(extensions);

    async function acquireLock(request: LibraryRequest, id: string): Promise<Lock> {
      exchange.uploadId = id;
      // Begun by this request, which brings nothing to write: the first PATCH takes the lease.
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
        writeBody(uploads, exchange, store.requireWriter(), { maxBytes, length: store.length }),
    });
  }

  async function send(request: TusRequest, exchange: Exchange): Promise<TusAnswer> {
    const own: OwnRequest = { ...request, exchange };
    const known = own as never as LibraryRequest;
    const method = request.method as keyof Server['handlers'];
    if (method === 'HEAD') return look(uploads, exchange, server.handlers.HEAD.getFileIdFromRequest(known));
    // A source that ended early makes this throw.
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

/** The library's own server: how it names uploads, and what it tells of their beginning and end. */
function createServer(options: TusLibraryOptions, extensions: string[]): Server {
  const { uploads } = options;
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
      exchange.begun = uploads.markComing(upload.id);
      const begun = await options.begin(upload.id, exchange, upload.size ?? null);
      if ('append' in begun) exchange.writer = begun;
      exchange.upload = 'append' in begun ? begun.upload : begun;
      return {};
    },
    onUploadFinish: async (request, upload) => {
      const exchange = exchangeOf(request);
      // An empty file announced without a body has not passed through a writer. `view` must not wait for this request.
      if (!exchange.received) {
        exchange.begun();
        exchange.upload = await uploads.view(upload.id, exchange.owner);
      }
      return {};
    },
  });
}

/** In place of the library's HEAD, which reads the upload a second time. */
async function look(uploads: Uploads, exchange: Exchange, id: string | undefined): Promise<TusAnswer> {
  if (id === undefined) throw new TidemarkError('not_found');
  exchange.uploadId = id;
  const upload = await uploads.view(id, exchange.owner);
  exchange.upload = upload;
  const headers = new Map([
    ['Cache-Control', 'no-store'],
    ['Upload-Offset', String(upload.offset)],
  ]);
  if (upload.size === null) headers.set('Upload-Defer-Length', '1');
  else headers.set('Upload-Length', String(upload.size));
  if (upload.metadata) headers.set('Upload-Metadata', upload.metadata);
  return { status: 200, headers };
}

/** What a request's body brings, by the request's writer. @returns the offset after it. */
async function writeBody(
  uploads: Uploads,
  exchange: Exchange,
  writer: Writer,
  given: { maxBytes: number; length: number | undefined },
): Promise<number> {
  const { upload } = writer;
  if (upload.state !== 'receiving') {
    // It has ended while this request waited for the lease: then `current` throws. Or it is complete,
    // the answer to its last PATCH was lost, and the client sends an empty one to be sure.
    exchange.upload = await uploads.current(upload.id, exchange.owner);
    return exchange.upload.offset;
  }
  const isNew = exchange.upload !== undefined;
  exchange.upload = upload;
  try {
    exchange.received = await writer.append(exchange.body, { ...given, onReading: exchange.begun });
    return exchange.received.offset;
  } catch (error) {
    // Refused as a whole: the client has no address at which it could resume.
    if (isNew && error instanceof TidemarkError && error.code === 'too_large') await writer.end();
    throw error;
  }
}

/** In place of a web response. */
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
    // Expiry is kept by the catalog; getExpiration stays 0 so that the library leaves it alone.
    'expiration',
    ...(capabilities.terminate ? ['termination'] : []),
  ];
}

/** What the library asks of a data store in the course of one request, answered by the request's writer. */
class ExchangeStore extends DataStore {
  writer: Writer | undefined;
  /** Declared by this request, and not in the catalog yet. */
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
    // onUploadCreate has begun it already, with what the library does not know: its owner.
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const { offset, size, createdAt } = this.requireWriter().upload;
    return new Upload({
      id,
      offset,
      ...(size === null ? {} : { size }),
      creation_date: new Date(createdAt).toISOString(),
    });
  }

  override async declareUploadLength(_id: string, size: number): Promise<void> {
    // Before the library looks at what the body has.
    this.length = size;
  }

  override async remove(): Promise<void> {
    await this.requireWriter().remove();
  }

  override async write(): Promise<number> {
    throw new Error('bytes go through writeToStore, under a lease');
  }
}

/** What an error of the library, compared by identity, says; ours as they are. */
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
