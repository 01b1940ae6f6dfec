/** What the answers of the tus endpoint have in common, and what is read of every request. */
import type { Middleware } from 'koa';
import type { FileView } from '../../uploads/contract.ts';
import { idleSeconds } from '../../uploads/idle.ts';
import { filePath } from '../../wire/addresses.ts';
import { encodeName } from '../../wire/labels.ts';
import type { Sending } from '../../links/contract.ts';
import type { Exchange } from './library.ts';
import { bodyTooLarge } from './refusals.ts';

/** What earlier middleware has put into the request's state. */
export interface TusState {
  owner: string;
  /** Public base of addresses, without a trailing slash. */
  baseUrl: string;
  uploadId?: string;
  /** Of a request that comes by a link. */
  sending?: Sending;
}

export type TusContext = Parameters<Middleware<TusState>>[0];

/** The id in an upload's path: its last part. */
export function idOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Refuses a POST whose body is too long, before anything is created. @throws `too_large`. */
export function refuseTooLong(length: number, mostBytes: number | null): void {
  if (mostBytes === null || length <= mostBytes) return;
  throw bodyTooLarge(`The body has ${length} bytes, more than the ${mostBytes} that the upload may have.`);
}

export function endWithoutBody(ctx: TusContext): void {
  ctx.body = ctx.status === 204 ? null : '';
  // Also for a HEAD by override, which is a POST to Node: there is no body, so its length is 0.
  if (ctx.status !== 204) ctx.length = 0;
}

/** Sets the headers about an upload: those of the protocol, and the service's own (`Tidemark-*`). */
export function describeUpload(ctx: TusContext, method: string, exchange: Exchange, file: FileView | null): void {
  const { upload, received } = exchange;
  if (method === 'DELETE' || !upload) return;
  // "Expiration": on every answer while the upload is unfinished.
  const unfinished = received ? !received.file : upload.state === 'receiving';
  if (unfinished && method === 'HEAD') ctx.set('Tidemark-Idle', String(idleSeconds(upload)));
  if (unfinished) ctx.set('Upload-Expires', new Date(received?.expiresAt ?? upload.expiresAt).toUTCString());
  if (file) {
    describeFile(ctx, exchange.baseUrl, file);
    return;
  }
  if (upload.fileId && !ctx.state.sending) ctx.set('Tidemark-File-Id', upload.fileId);
  if (upload.filename) ctx.set('Tidemark-File-Name', encodeName(upload.filename));
}

/** Sets the headers about the file that an upload became. */
export function describeFile(ctx: TusContext, baseUrl: string, file: FileView): void {
  // A file's id opens it where PUBLIC_READ is on: those who send one by a link are not told.
  if (!ctx.state.sending) {
    ctx.set('Tidemark-File-Id', file.id);
    ctx.set('Tidemark-File-Url', baseUrl + filePath(file));
  }
  // The name as the service keeps it, which may differ from the name that the client sent.
  ctx.set('Tidemark-File-Name', encodeName(file.name));
}
