/** Requests of this protocol: what they say, and what is answered to them. */
import type { Middleware } from 'koa';
import type { ExpectedChecksum } from '../../uploads/checksums.ts';
import type { Files, FileView, OnConflict, Uploads, UploadView } from '../../uploads/contract.ts';
import { hasCode } from '../../uploads/errors.ts';
import { filePath, uploadPath } from '../../wire/addresses.ts';
import { encodeName } from '../../wire/labels.ts';
import type { Sending } from '../../links/contract.ts';
import { DIALECTS, type Dialect, dialectOf } from './dialects.ts';
import { readContentDigest, writeReprDigest } from './digests.ts';
import { contentLengthOf, integerField, writeBoolean } from './fields.ts';
import { inform } from './informational.ts';
import { type UploadLimits, writeLimit } from './limits.ts';
import { invalidHeader } from './refusals.ts';

/** What earlier middleware has put into the request's state. */
export interface RufhState {
  owner: string;
  /** Public base of addresses, without a trailing slash. */
  baseUrl: string;
  uploadId?: string;
  /** What went wrong, for the log. */
  failure?: unknown;
  /** Of a request that comes by a link. */
  sending?: Sending;
}

export type RufhContext = Parameters<Middleware<RufhState>>[0];

/** What the endpoint works with. */
export interface RufhParts {
  uploads: Uploads;
  files: Pick<Files, 'check' | 'get'>;
  limits: UploadLimits;
  /** The digests that the service computes of each file. */
  digests: readonly string[];
  newId: () => string;
  elapsedMs: () => number;
  /** The file name in the query of a request to a target, cleaned. */
  nameInQuery: (ctx: RufhContext) => string | undefined;
  /** `onconflict` in the query. @throws `invalid_field`. */
  onConflictInQuery: (ctx: RufhContext) => OnConflict | undefined;
  /** The JSON of a file, the body of the answer that completes an upload. */
  describeFile: (file: FileView, baseUrl: string) => object;
}

/** The parts for a request: somebody who sends files by a link has uploads of their own, and no files. */
export function partsFor({ state }: RufhContext, parts: RufhParts): RufhParts {
  const { sending } = state;
  if (!sending) return parts;
  return {
    ...parts,
    uploads: sending.uploads,
    files: { check: async () => ({ status: 'notfound', resume: null }), get: sending.fileOf },
    describeFile: ({ name, type, content: { md5, size } }) => ({ name, type, size, md5 }),
  };
}

/** Which draft a request speaks, in the fields of every request and answer. */
const INTEROP = 'Upload-Draft-Interop-Version';

/** The dialect that a request names; undefined where it names none that the service speaks. */
export function readDialect({ req }: Pick<RufhContext, 'req'>): Dialect | undefined {
  return dialectOf(integerField(req.headers, INTEROP));
}

/** @throws `invalid_field` where the request names no dialect that the service speaks. */
export function requireDialect(ctx: RufhContext): Dialect {
  const dialect = readDialect(ctx);
  if (dialect) return dialect;
  const versions = DIALECTS.map(({ version }) => version).join(', ');
  throw invalidHeader(INTEROP, `${INTEROP} must be one of ${versions}: a part of a file is taken by no other rules.`);
}

/** A whole number of bytes in a field; undefined where it is absent or ignored. @throws `invalid_field` where it is negative. */
export function readBytes({ req }: RufhContext, name: string): number | undefined {
  const value = integerField(req.headers, name);
  if (value !== undefined && value < 0) throw invalidHeader(name, `${name} must be a whole number of bytes.`);
  return value;
}

/** What a request that brings bytes says of them. */
export interface Bringing {
  readonly dialect: Dialect;
  readonly isComplete: boolean;
  readonly contentLength: number | undefined;
  readonly uploadLength: number | undefined;
  /** Of its content. */
  readonly checksums: readonly ExpectedChecksum[];
}

/** Reads what a request says of its bytes. */
export function readBringing(ctx: RufhContext, dialect: Dialect, isComplete: boolean): Bringing {
  return {
    dialect,
    isComplete,
    contentLength: contentLengthOf(ctx.req.headers),
    checksums: readContentDigest(ctx.req.headers),
    uploadLength: dialect.hasLength ? readBytes(ctx, 'Upload-Length') : undefined,
  };
}

/** The fields of all answers that are about an upload. */
export function setState(
  ctx: RufhContext,
  { version, completion }: Dialect,
  { offset, isComplete }: { offset?: number; isComplete: boolean },
): void {
  ctx.set(INTEROP, String(version));
  ctx.set(completion, writeBoolean(completion === 'Upload-Complete' ? isComplete : !isComplete));
  if (offset !== undefined) ctx.set('Upload-Offset', String(offset));
  ctx.set('Cache-Control', 'no-store');
}

/** Answers about an upload that is not complete, without a body. */
export function answerIncomplete(ctx: RufhContext, dialect: Dialect, status: 201 | 204, offset: number): void {
  setState(ctx, dialect, { offset, isComplete: false });
  // Koa takes an answer without a body for a 204.
  ctx.body = null;
  ctx.status = status;
}

/** An upload's public address. */
export function locationOf({ state }: RufhContext, id: string): string {
  return state.baseUrl + uploadPath(id);
}

/** Sends a 104 about an upload, in the request's dialect. */
export function informOf(ctx: RufhContext, { version }: Dialect, fields: Record<string, string>): void {
  inform(ctx.res, { ...fields, [INTEROP]: String(version) });
}

/** Sets Upload-Limit. @param leftMs - how long the upload lives; a new one the full time; null: it does not expire. */
export function setLimit(ctx: RufhContext, parts: RufhParts, dialect: Dialect, leftMs?: number | null): void {
  ctx.set('Upload-Limit', writeLimit(parts.limits, dialect, leftMs));
}

/** Answers with the published file: the answer of the target, which completes the upload. */
export function answerPublished(
  ctx: RufhContext,
  parts: RufhParts,
  dialect: Dialect | undefined,
  file: FileView,
): void {
  const { baseUrl } = ctx.state;
  if (dialect) setState(ctx, dialect, { offset: file.content.size, isComplete: true });
  ctx.status = 201;
  ctx.set('Cache-Control', 'no-store');
  if (!ctx.state.sending) ctx.set('Location', `${baseUrl}/api/files/${file.id}`);
  ctx.set(fileHeaders(file, ctx.state));
  const digest = writeReprDigest(ctx.req.headers, file.content);
  if (digest !== undefined) ctx.set('Repr-Digest', digest);
  ctx.body = parts.describeFile(file, baseUrl);
}

/** The service's own headers about a published file. */
export function fileHeaders(file: FileView, { baseUrl, sending }: RufhState): Record<string, string> {
  const name = { 'Tidemark-File-Name': encodeName(file.name) };
  // A file's id opens it where PUBLIC_READ is on: those who send one by a link are not told.
  if (sending) return name;
  return { 'Tidemark-File-Id': file.id, ...name, 'Tidemark-File-Url': baseUrl + filePath(file) };
}

/** The file that an upload became; undefined where it is not complete, or the file was deleted a moment ago. */
export async function publishedFile({ files }: RufhParts, ctx: RufhContext, upload: UploadView) {
  if (upload.fileId === null) return undefined;
  return files.get(upload.fileId, ctx.state.owner).catch((error: unknown) => {
    if (hasCode(error, 'not_found')) return undefined;
    throw error;
  });
}

/** A signal that is aborted when the client is gone. */
export function goneSignal({ res }: RufhContext): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort(new Error('the client is gone'));
  });
  return gone.signal;
}
