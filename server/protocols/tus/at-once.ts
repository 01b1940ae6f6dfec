/** Requests that bring all bytes of a small upload: where these are here already, they are stored and published as a whole. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Uploads } from '../../uploads/contract.ts';
import { uploadPath } from '../../wire/addresses.ts';
import { describeFile, endWithoutBody, idOf, refuseTooLong, type TusContext } from './answers.ts';
import { readCreation } from './concatenation.ts';

/** What is hashed without another thread (stores/digests/here.ts), and what a socket delivers at once. */
const MOST_BYTES = 64 * 1024;

export interface AtOnceOptions {
  uploadsOf: (ctx: TusContext) => Uploads;
  maxFileSizeBytes: number | null;
  newId: () => string;
  turn: () => Promise<void>;
}

export interface AtOnceAnswers {
  /**
   * Takes the body of a request that brings all bytes of an upload, where it is here by now: most small ones come together
   * with their headers. Else nothing of it is taken. It waits for one turn of the event loop at most, so that a slow client
   * has its bytes stored as they come.
   */
  takeBody(ctx: TusContext): Promise<Uint8Array | undefined>;
  /** Answers a request with this body. @returns false where nothing was done: the upload has to go the way of all others. */
  answer(ctx: TusContext, bytes: Uint8Array): Promise<boolean>;
}

/** Prepares the answers to requests that have passed the checks of the protocol. */
export function createAtOnceAnswers({ uploadsOf, maxFileSizeBytes, newId, turn }: AtOnceOptions): AtOnceAnswers {
  async function takeBody({ method, req }: TusContext): Promise<Uint8Array | undefined> {
    if (!bringsAll(method, req.headers)) return undefined;
    if (!req.complete) await turn();
    if (!req.complete || req.readableLength !== Number(req.headers['content-length'])) return undefined;
    return req.read() as Buffer;
  }

  async function answer(ctx: TusContext, bytes: Uint8Array): Promise<boolean> {
    const { method, path, req, state } = ctx;
    const isNew = method === 'POST';
    const id = isNew ? newId() : idOf(path);
    const uploads = uploadsOf(ctx);
    const file = await (isNew
      ? create(uploads, { id, owner: state.owner }, req.headers, bytes)
      : uploads.completeAtOnce(id, state.owner, bytes));
    if (!file) return false;
    state.uploadId = id;
    ctx.status = isNew ? 201 : 204;
    if (isNew) ctx.set('Location', state.baseUrl + uploadPath(id));
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Upload-Offset', String(bytes.length));
    describeFile(ctx, state.baseUrl, file);
    endWithoutBody(ctx);
    return true;
  }

  function create(
    uploads: Uploads,
    whose: { id: string; owner: string },
    headers: IncomingHttpHeaders,
    bytes: Uint8Array,
  ) {
    refuseTooLong(bytes.length, maxFileSizeBytes);
    return uploads.createAtOnce({ ...whose, ...readCreation(headers, bytes.length) }, bytes);
  }

  return { takeBody, answer };
}

/**
 * Whether the headers say that a request brings all bytes of an upload, that they are few, and that it asks for nothing else:
 * no checksum, also in a trailer, no concatenation, no length that is declared with the bytes.
 */
function bringsAll(method: string, headers: IncomingHttpHeaders): boolean {
  const length = headers['content-length'];
  if (length === undefined || headers['transfer-encoding'] !== undefined) return false;
  const others = ['upload-checksum', 'trailer', 'upload-concat'];
  if (others.some((name) => headers[name] !== undefined)) return false;
  if (!(Number(length) > 0 && Number(length) <= MOST_BYTES)) return false;
  const declared = headers['upload-length'];
  if (method === 'POST') return declared === length;
  return method === 'PATCH' && declared === undefined && headers['upload-offset'] === '0';
}
