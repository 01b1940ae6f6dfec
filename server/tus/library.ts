/**
 * @tus/server, extended: the library keeps the protocol's order of steps; leases,
 * bytes and state go to the life of uploads. What it does differently from its own:
 *
 * - A body reaches the store as the request's own stream. The library turns it into
 *   a web stream and back, through two more streams, which costs more than storing it.
 * - The lease travels with the request, so that a writer that lost it cannot commit.
 * - HEAD takes no lock: looking at an upload never disturbs a transfer. All that it tells is of one row.
 * - A length that a PATCH declares counts once the request is taken: one that is refused has declared nothing.
 */
import type { Readable } from 'node:stream';
import { Server } from '@tus/server';
import { type CancellationContext, DataStore, ERRORS, Upload } from '@tus/utils';
import type { Capabilities } from '../../stores/store.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../locks/locker.ts';
import type { Received, Uploads } from '../uploads/contract.ts';
import { TidemarkError } from '../uploads/errors.ts';

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
  /** Says that the request writes now, or will not any more; see `markComing` of uploads. */
  begun: () => void;
  /** The upload as HEAD saw it, or as POST made it. */
  upload: UploadRecord | undefined;
  received: Received | undefined;
  error: TidemarkError | undefined;
}

/** An upload whose lease a request holds, and what is known of it under that lease. */
interface Held {
  readonly lease: Lease;
  readonly stop: AbortController;
  /** The request that holds the lease has made it: nobody else knows it. */
  readonly isNew: boolean;
  upload: UploadRecord;
  /** Declared by this request, and not in the catalog yet. */
  length?: number;
}

function requireHeld(held: Held | undefined, id: string): Held {
  if (!held) throw new Error(`no lease on upload ${id}`);
  return held;
}

type Handler = Server['handlers'][keyof Server['handlers']];
type LibraryRequest = Parameters<Handler['send']>[0];
type Lock = Awaited<ReturnType<Handler['acquireLock']>>;

const NOTHING_LOCKED: Lock = { lock: async () => undefined, unlock: async () => undefined };

export interface TusLibrary {
  /** @param request - what the library reads of a web request: method, url, headers. */
  handle(request: LibraryRequest, exchange: Exchange): Promise<Response>;
}

export interface TusLibraryOptions {
  uploads: Uploads;
  capabilities: Capabilities;
  maxFileSizeBytes: number | null;
  /** Makes a new upload from a POST's headers. */
  begin: (id: string, exchange: Exchange, size: number | null) => Promise<UploadRecord>;
  newId: () => string;
}

export function createTusLibrary(options: TusLibraryOptions): TusLibrary {
  const { uploads } = options;
  const exchanges = new WeakMap<object, Exchange>();
  const leases = new Map<string, Held>();

  const server = new Server({
    path: '/uploads',
    datastore: new UploadsDataStore(uploads, options.capabilities, (id) => leases.get(id)),
    locker: {
      newLock: () => {
        throw new Error('leases are taken by acquireLock below');
      },
    },
    ...(options.maxFileSizeBytes === null ? {} : { maxSize: options.maxFileSizeBytes }),
    namingFunction: options.newId,
    generateUrl: (request, { id }) => `${exchangeOf(request).baseUrl}/uploads/${id}`,
    getFileIdFromRequest: (_request, lastPath) =>
      lastPath && /^[A-Za-z0-9-]{1,64}$/.test(lastPath) ? lastPath : undefined,
    onUploadCreate: async (request, upload) => {
      const exchange = exchangeOf(request);
      exchange.uploadId = upload.id;
      exchange.begun = uploads.markComing(upload.id);
      exchange.upload = await options.begin(upload.id, exchange, upload.size ?? null);
      return {};
    },
    onUploadFinish: async (request, upload) => {
      const exchange = exchangeOf(request);
      // An empty file announced without a body has not passed through receive.
      if (!exchange.received) exchange.upload = await uploads.view(upload.id, exchange.owner);
      return {};
    },
    onResponseError: (request, error) => {
      const exchange = exchangeOf(request);
      exchange.error = toRefusal(error, exchange);
      return { status_code: exchange.error.status, body: '' };
    },
  });

  for (const handler of [server.handlers.POST, server.handlers.PATCH, server.handlers.DELETE]) {
    Object.assign(handler, { acquireLock, writeToStore });
  }
  Object.assign(server.handlers.HEAD, { send: look });

  async function acquireLock(request: LibraryRequest, id: string, context: CancellationContext): Promise<Lock> {
    const exchange = exchangeOf(request);
    exchanges.set(context, exchange);
    exchange.uploadId = id;
    // Begun by this request, which brings nothing to write: the first PATCH takes the lease.
    if (exchange.upload && !exchange.bringsBody) return NOTHING_LOCKED;
    const stop = new AbortController();
    // A POST that brings bytes has just made it.
    const upload = exchange.upload ?? (await uploads.current(id, exchange.owner));
    if (isBehind(request, exchange, upload)) throw refusalOfOffset();
    const lease = await uploads.acquire(upload, {
      signal: exchange.gone,
      onAsked: () => {
        stop.abort(new TidemarkError('upload_taken_over'));
      },
    });
    const isNew = exchange.upload !== undefined;
    const entry: Held = { lease, stop, isNew, upload: await readUnderLease(exchange, id, lease) };
    leases.set(id, entry);
    return {
      lock: async () => undefined,
      unlock: async () => {
        if (leases.get(id) === entry) leases.delete(id);
        await lease.release();
        exchange.begun();
      },
    };
  }

  /** What may have changed while the request waited for the lease; what it has just made has not. */
  async function readUnderLease({ upload }: Exchange, id: string, lease: Lease): Promise<UploadRecord> {
    try {
      return upload ?? (await uploads.peek(id));
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /** In place of the library's HEAD, which reads the upload a second time. */
  async function look(
    request: LibraryRequest,
    _context: CancellationContext,
    headers = new Headers(),
  ): Promise<Response> {
    const exchange = exchangeOf(request);
    const id = server.handlers.HEAD.getFileIdFromRequest(request);
    if (id === undefined) throw new TidemarkError('not_found');
    exchange.uploadId = id;
    const upload = await uploads.view(id, exchange.owner);
    exchange.upload = upload;
    headers.set('Cache-Control', 'no-store');
    headers.set('Upload-Offset', String(upload.offset));
    if (upload.size === null) headers.set('Upload-Defer-Length', '1');
    else headers.set('Upload-Length', String(upload.size));
    if (upload.metadata) headers.set('Upload-Metadata', upload.metadata);
    // No text, not even an empty one: it would get a type.
    return new Response(null, { status: 200, headers });
  }

  async function writeToStore(
    _body: unknown,
    upload: Upload,
    maxBytes: number,
    context: CancellationContext,
  ): Promise<number> {
    const exchange = exchangeOf(context);
    const { lease, stop, isNew, upload: state, length } = requireHeld(leases.get(upload.id), upload.id);
    if (state.state !== 'receiving') {
      // It has ended while this request waited for the lease: that is said by `current`. Or it is complete,
      // the answer to its last PATCH was lost, and the client sends an empty one to be sure.
      exchange.upload = await uploads.current(state.id, exchange.owner);
      return exchange.upload.offset;
    }
    exchange.upload = state;
    try {
      exchange.received = await uploads.receive(state, exchange.body, {
        lease,
        signal: stop.signal,
        maxBytes,
        length,
        onReading: exchange.begun,
      });
    } catch (error) {
      // Refused as a whole: there is no address under which it could go on.
      if (isNew && error instanceof TidemarkError && error.code === 'too_large')
        await uploads.terminate(state.id, lease);
      throw error;
    }
    return exchange.received.offset;
  }

  function exchangeOf(key: object): Exchange {
    const exchange = exchanges.get(key);
    if (!exchange) throw new Error('a request of no exchange');
    return exchange;
  }

  return {
    handle: async (request, exchange) => {
      exchanges.set(request, exchange);
      return server.handleWeb(request);
    },
  };
}

/** What the library asks of a data store, answered by the life of uploads. */
class UploadsDataStore extends DataStore {
  readonly #uploads: Uploads;
  readonly #held: (id: string) => Held | undefined;

  constructor(uploads: Uploads, capabilities: Capabilities, held: (id: string) => Held | undefined) {
    super();
    this.#uploads = uploads;
    this.#held = held;
    this.extensions = [
      'creation',
      'creation-with-upload',
      ...(capabilities.deferLength ? ['creation-defer-length'] : []),
      // Expiry is kept by the catalog; getExpiration stays 0 so that the library leaves it alone.
      'expiration',
      ...(capabilities.terminate ? ['termination'] : []),
    ];
  }

  override async create(upload: Upload): Promise<Upload> {
    // onUploadCreate has begun it already, with what the library does not know: its owner.
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const record = this.#held(id)?.upload ?? (await this.#uploads.peek(id));
    return new Upload({
      id,
      offset: record.offset,
      ...(record.size === null ? {} : { size: record.size }),
      creation_date: new Date(record.createdAt).toISOString(),
    });
  }

  override async declareUploadLength(id: string, size: number): Promise<void> {
    // Before the library looks at what the body has.
    requireHeld(this.#held(id), id).length = size;
  }

  override async remove(id: string): Promise<void> {
    await this.#uploads.terminate(id, requireHeld(this.#held(id), id).lease);
  }

  override async write(): Promise<number> {
    throw new Error('bytes go through writeToStore, under a lease');
  }
}

/** Whether a PATCH would write where bytes are committed. That offset stays wrong, so its writer is not interrupted. */
function isBehind({ method }: LibraryRequest, { headers }: Exchange, { state, offset }: UploadRecord): boolean {
  return method === 'PATCH' && state === 'receiving' && Number(headers['upload-offset']) < offset;
}

function refusalOfOffset(cause?: unknown): TidemarkError {
  return new TidemarkError('offset_conflict', { cause, field: 'Upload-Offset' });
}

/** The library's errors, compared by identity, and ours -> one refusal. */
function toRefusal(error: unknown, exchange: Exchange): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const cause = error;
  switch (error) {
    case ERRORS.FILE_NOT_FOUND:
      return new TidemarkError('not_found', { cause });
    case ERRORS.INVALID_OFFSET:
      return refusalOfOffset(cause);
    case ERRORS.INVALID_LENGTH:
      return new TidemarkError('invalid_field', {
        cause,
        field: 'Upload-Length',
        message: 'Upload-Length can be declared once, and not below what has arrived.',
      });
    case ERRORS.ERR_SIZE_EXCEEDED:
      return new TidemarkError('too_large', {
        cause,
        field: 'Content-Length',
        message: 'The body has more bytes than the upload has left.',
      });
    case ERRORS.ERR_MAX_SIZE_EXCEEDED:
      return new TidemarkError('too_large', { cause, field: 'Upload-Length' });
    default:
      return new TidemarkError(exchange.gone.aborted ? 'upload_taken_over' : 'internal', { cause });
  }
}
