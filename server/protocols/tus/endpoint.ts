/** The tus endpoint: POST, HEAD, PATCH, DELETE and OPTIONS below /uploads. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Middleware } from 'koa';
import type { Capabilities } from '../../../stores/store.ts';
import type { FileView, Uploads } from '../../uploads/contract.ts';
import { hasCode, TidemarkError } from '../../uploads/errors.ts';
import { describeUpload, endWithoutBody, idOf, refuseTooLong, type TusContext, type TusState } from './answers.ts';
import { createAtOnceAnswers } from './at-once.ts';
import { bringsBody } from './body.ts';
import { CHECKSUM_ALGORITHMS, readChecksum } from './checksum.ts';
import { beginFinal, readConcatenation, readCreation } from './concatenation.ts';
import { createTusLibrary, type Exchange, type TusAnswer, type TusRequest } from './library.ts';
import { checkContentType, checkProtocol } from './protocol.ts';
import { refusal, refusalOf } from './refusals.ts';

export interface TusEndpointOptions {
  uploads: Uploads;
  /** Finds a file of this owner. @throws `not_found`. */
  fileOf: (id: string, owner: string) => Promise<FileView>;
  capabilities: Capabilities;
  maxFileSizeBytes: number | null;
  newId: () => string;
  /** Waits for one turn of the event loop. */
  turn: () => Promise<void>;
}

/** Request headers that the library reads; it gets no others. */
const PASSED_ON = new Set(['tus-resumable', 'upload-offset', 'upload-length', 'upload-defer-length', 'content-length']);

export function createTusEndpoint({
  uploads,
  fileOf,
  capabilities,
  maxFileSizeBytes,
  newId,
  turn,
}: TusEndpointOptions): Middleware<TusState> {
  const uploadsOf = ({ state }: TusContext): Uploads => state.sending?.uploads ?? uploads;
  const atOnce = createAtOnceAnswers({ uploadsOf, maxFileSizeBytes, newId, turn });
  const library = createTusLibrary({
    capabilities,
    maxFileSizeBytes,
    newId,
    begin: (id, exchange, size) => {
      const length = Number(exchange.headers['content-length'] ?? 0);
      refuseTooLong(length, size ?? maxFileSizeBytes);
      const request = { id, owner: exchange.owner, ...readCreation(exchange.headers, size) };
      return exchange.bringsBody ? exchange.uploads.beginWriting(request) : exchange.uploads.begin(request);
    },
  });

  return withRefusals(answer);

  async function answer(ctx: TusContext): Promise<void> {
    const { method } = ctx;
    checkMethod(method, ctx.path);
    if (method !== 'OPTIONS') checkProtocol(method, ctx.req.headers);
    // Marked once, whichever way it goes: in a gap between two marks, a HEAD would not wait for bytes that have arrived.
    const begun = method === 'PATCH' ? uploadsOf(ctx).markComing(idOf(ctx.path)) : () => undefined;
    try {
      const whole = await atOnce.takeBody(ctx);
      if (whole && (await atOnce.answer(ctx, whole))) return;
      await answerByLibrary(ctx, whole, begun);
    } finally {
      begun();
    }
  }

  /** @param whole - the body, where it was taken from the request already. */
  async function answerByLibrary(ctx: TusContext, whole: Uint8Array | undefined, begun: () => void): Promise<void> {
    const { method } = ctx;
    const checksum = !whole && (method === 'PATCH' || method === 'POST') ? readChecksum(ctx.req) : null;
    const gone = goneOf(ctx.res);
    const isBrought = method === 'POST' && (await bringsBody(ctx.req));
    if (isBrought) checkContentType(ctx.req.headers);
    else if (method === 'POST') await checksum?.verifyNothing();
    const body = whole ? Readable.from([whole], { objectMode: false }) : ctx.req;
    const exchange = newExchange(ctx, uploadsOf(ctx), { gone, body, bringsBody: isBrought, begun, checksum });
    const concatenation = method === 'POST' ? readConcatenation(ctx.req.headers) : undefined;
    const answered =
      concatenation?.kind === 'final'
        ? await beginFinal(exchange, newId(), concatenation)
        : await handle(toRequest(ctx, isBrought), exchange);
    if (exchange.uploadId) ctx.state.uploadId = exchange.uploadId;
    if (!answered) throw await withOffset(exchange.error ?? new TidemarkError('internal'), exchange);

    copyAnswer(ctx, answered);
    if (method === 'OPTIONS') ctx.set('Tus-Checksum-Algorithm', CHECKSUM_ALGORITHMS);
    describeUpload(ctx, method, exchange, await publishedFile(ctx.state.sending?.fileOf ?? fileOf, method, exchange));
    endWithoutBody(ctx);
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
}

/** The published file of the upload, whether this request or an earlier one published it. */
async function publishedFile(
  fileOf: TusEndpointOptions['fileOf'],
  method: string,
  { received, upload, owner }: Exchange,
): Promise<FileView | null> {
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
  const { offset } = await exchange.uploads.view(exchange.uploadId, exchange.owner);
  return new TidemarkError('offset_conflict', { offset });
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
  uploads: Uploads,
  known: Pick<Exchange, 'gone' | 'body' | 'bringsBody' | 'begun' | 'checksum'>,
): Exchange {
  return {
    ...known,
    uploads,
    owner: state.owner,
    baseUrl: state.baseUrl,
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

/** A signal that is aborted when the client has left before its answer. */
function goneOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const look = (): void => {
    if (!response.writableFinished) gone.abort(new Error('the client is gone'));
  };
  if (response.closed) look();
  else response.once('close', look);
  return gone.signal;
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

/** `/uploads` accepts POST and OPTIONS, an upload all other methods. @throws `method_not_allowed`. */
function checkMethod(method: string, path: string): void {
  const allowed = /^\/uploads\/?$/.test(path) ? ['POST', 'OPTIONS'] : ['GET', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS'];
  if (!allowed.includes(method)) throw refusal('method_not_allowed', { headers: { Allow: allowed.join(', ') } });
}
