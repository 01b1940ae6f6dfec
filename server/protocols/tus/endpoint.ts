/** The tus endpoint: POST, HEAD, PATCH, DELETE and OPTIONS below /uploads. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Middleware } from 'koa';
import type { Capabilities } from '../../../stores/store.ts';
import type { FileView, Uploads } from '../../uploads/contract.ts';
import { hasCode, TidemarkError } from '../../uploads/errors.ts';
import { idleSeconds } from '../../uploads/idle.ts';
import { filePath } from '../../wire/addresses.ts';
import { encodeName } from '../../wire/labels.ts';
import { bringsBody } from './body.ts';
import { CHECKSUM_ALGORITHMS, readChecksum } from './checksum.ts';
import { beginFinal, readConcatenation, readCreation } from './concatenation.ts';
import { createTusLibrary, type Exchange, type TusAnswer, type TusRequest } from './library.ts';
import { checkContentType, checkProtocol } from './protocol.ts';
import { bodyTooLarge, refusal, refusalOf } from './refusals.ts';

/** What earlier middleware has put into the request's state. */
export interface TusState {
  owner: string;
  /** Public base of addresses, without a trailing slash. */
  baseUrl: string;
  uploadId?: string;
}

type TusContext = Parameters<Middleware<TusState>>[0];

export interface TusEndpointOptions {
  uploads: Uploads;
  /** Finds a file of this owner. @throws `not_found`. */
  fileOf: (id: string, owner: string) => Promise<FileView>;
  capabilities: Capabilities;
  maxFileSizeBytes: number | null;
  newId: () => string;
}

/** Request headers that the library reads; it gets no others. */
const PASSED_ON = new Set(['tus-resumable', 'upload-offset', 'upload-length', 'upload-defer-length', 'content-length']);

export function createTusEndpoint({
  uploads,
  fileOf,
  capabilities,
  maxFileSizeBytes,
  newId,
}: TusEndpointOptions): Middleware<TusState> {
  const library = createTusLibrary({
    uploads,
    capabilities,
    maxFileSizeBytes,
    newId,
    begin: (id, exchange, size) => {
      const length = Number(exchange.headers['content-length'] ?? 0);
      refuseTooLong(length, size ?? maxFileSizeBytes);
      const request = { id, owner: exchange.owner, ...readCreation(exchange.headers, size) };
      return exchange.bringsBody ? uploads.beginWriting(request) : uploads.begin(request);
    },
  });

  return withRefusals(answer);

  async function answer(ctx: TusContext): Promise<void> {
    const { method } = ctx;
    checkMethod(method, ctx.path);
    if (method !== 'OPTIONS') checkProtocol(method, ctx.req.headers);

    const checksum = method === 'PATCH' || method === 'POST' ? readChecksum(ctx.req) : null;
    const gone = new AbortController();
    ctx.res.once('close', () => {
      if (!ctx.res.writableFinished) gone.abort(new Error('the client is gone'));
    });
    const isBrought = method === 'POST' && (await bringsBody(ctx.req));
    if (isBrought) checkContentType(ctx.req.headers);
    else if (method === 'POST') await checksum?.verifyNothing();
    const begun = method === 'PATCH' ? uploads.markComing(idOf(ctx.path)) : () => undefined;
    const exchange = newExchange(ctx, { gone: gone.signal, bringsBody: isBrought, begun, checksum });
    const concatenation = method === 'POST' ? readConcatenation(ctx.req.headers) : undefined;
    const answered =
      concatenation?.kind === 'final'
        ? await beginFinal(uploads, exchange, newId(), concatenation)
        : await handle(toRequest(ctx, isBrought), exchange);
    if (exchange.uploadId) ctx.state.uploadId = exchange.uploadId;
    if (!answered) throw await withOffset(exchange.error ?? new TidemarkError('internal'), exchange);

    copyAnswer(ctx, answered);
    if (method === 'OPTIONS') ctx.set('Tus-Checksum-Algorithm', CHECKSUM_ALGORITHMS);
    describeUpload(ctx, method, exchange, await publishedFile(method, exchange));
    ctx.body = ctx.status === 204 ? null : '';
    // Also for a HEAD by override, which is a POST to Node: there is no body, so its length is 0.
    if (ctx.status !== 204) ctx.length = 0;
  }

  async function handle(request: TusRequest, exchange: Exchange): Promise<TusAnswer | undefined> {
    try {
      return await library.handle(request, exchange);
    } finally {
      exchange.begun();
      // Where the request failed before the library took the lock.
      await exchange.writer?.release();
    }
  }

  /** The published file of the upload, whether this request or an earlier one published it. */
  async function publishedFile(method: string, exchange: Exchange): Promise<FileView | null> {
    const { received, upload, owner } = exchange;
    if (received?.file) return received.file;
    if (method === 'DELETE' || !upload?.fileId) return null;
    return fileOf(upload.fileId, owner).catch((error: unknown) => {
      // The file was deleted a moment ago.
      if (hasCode(error, 'not_found')) return null;
      throw error;
    });
  }

  /** Adds the upload's present offset to an `offset_conflict`, for the answer 409. */
  async function withOffset(error: Error, exchange: Exchange): Promise<Error> {
    if (!hasCode(error, 'offset_conflict') || !exchange.uploadId) return error;
    const { offset } = await uploads.view(exchange.uploadId, exchange.owner);
    return new TidemarkError('offset_conflict', { offset });
  }
}

/** Translates errors of the domain into refusals of this endpoint. */
function withRefusals(answer: (ctx: TusContext) => Promise<void>): Middleware<TusState> {
  return async (ctx) => {
    try {
      await answer(ctx);
    } catch (error) {
      throw error instanceof TidemarkError ? refusalOf(error) : error;
    }
  };
}

/** The exchange of a new request, before its upload is known. */
function newExchange(
  { req, state }: TusContext,
  known: Pick<Exchange, 'gone' | 'bringsBody' | 'begun' | 'checksum'>,
): Exchange {
  return {
    ...known,
    owner: state.owner,
    baseUrl: state.baseUrl,
    body: req,
    headers: req.headers,
    uploadId: undefined,
    upload: undefined,
    writer: undefined,
    received: undefined,
    error: undefined,
  };
}

/** Wraps a request in the form that the library reads. */
function toRequest({ method, path, req }: TusContext, isBrought: boolean): TusRequest {
  return { method, url: `http://tidemark${path}`, headers: passedOn(req.headers, method, isBrought), body: null };
}

function copyAnswer(ctx: TusContext, answer: TusAnswer): void {
  // tus 1.0.0, "HEAD": no cache may keep an offset, whichever request it answers.
  ctx.set('Cache-Control', 'no-store');
  ctx.status = ctx.method === 'OPTIONS' ? 200 : answer.status;
  for (const [name, value] of answer.headers) {
    // cors.ts sets these headers, for all routes.
    if (!name.startsWith('Access-Control-')) ctx.set(name, value);
  }
}

/** The headers that the library gets, with the Content-Type that it expects of a body. */
function passedOn(headers: IncomingHttpHeaders, method: string, isBrought: boolean): TusRequest['headers'] {
  const bringsBytes = method === 'PATCH' || isBrought;
  return {
    get: (name) => {
      if (name === 'content-type') return bringsBytes ? 'application/offset+octet-stream' : null;
      const value = PASSED_ON.has(name) ? headers[name] : undefined;
      return typeof value === 'string' ? value : null;
    },
  };
}

/** The id in an upload's path: its last part. */
function idOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Refuses a POST whose body is too long, before anything is created. @throws `too_large`. */
function refuseTooLong(length: number, mostBytes: number | null): void {
  if (mostBytes === null || length <= mostBytes) return;
  throw bodyTooLarge(`The body has ${length} bytes, more than the ${mostBytes} that the upload may have.`);
}

/** `/uploads` accepts POST and OPTIONS, an upload all other methods. @throws `method_not_allowed`. */
function checkMethod(method: string, path: string): void {
  const allowed = /^\/uploads\/?$/.test(path) ? ['POST', 'OPTIONS'] : ['GET', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS'];
  if (!allowed.includes(method)) throw refusal('method_not_allowed', { headers: { Allow: allowed.join(', ') } });
}

/** Sets the headers about an upload: those of the protocol, and the service's own (`Tidemark-*`). */
function describeUpload(
  ctx: Parameters<Middleware>[0],
  method: string,
  exchange: Exchange,
  file: FileView | null,
): void {
  const { upload, received } = exchange;
  if (method === 'DELETE' || !upload) return;
  // "Expiration": on every answer while the upload is unfinished.
  const unfinished = received ? !received.file : upload.state === 'receiving';
  if (unfinished && method === 'HEAD') ctx.set('Tidemark-Idle', String(idleSeconds(upload)));
  if (unfinished) ctx.set('Upload-Expires', new Date(received?.expiresAt ?? upload.expiresAt).toUTCString());
  const fileId = file?.id ?? upload.fileId;
  if (fileId) ctx.set('Tidemark-File-Id', fileId);
  if (file) ctx.set('Tidemark-File-Url', exchange.baseUrl + filePath(file));
  const name = file?.name ?? upload.filename;
  // The name as the service keeps it, which may differ from the name that the client sent.
  if (name) ctx.set('Tidemark-File-Name', encodeName(name));
}
