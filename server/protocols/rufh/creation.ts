/** Creation of an upload: a request to a target, with all of a file, its beginning, or nothing of it yet. */
import { type Declaration, type FileView, mostFileBytes } from '../../uploads/contract.ts';
import { TidemarkError } from '../../uploads/errors.ts';
import type { Writer } from '../../uploads/writer.ts';
import { type NamedInQuery, readDeclaration } from './declaration.ts';
import { readContentDigest } from './digests.ts';
import { booleanField, contentLengthOf, mediaTypeOfContent, PARTIAL_TYPE, readCompletion } from './fields.ts';
import { resolveLength } from './lengths.ts';
import { writeLimit } from './limits.ts';
import { receive } from './receive.ts';
import {
  answerIncomplete,
  answerPublished,
  type Bringing,
  goneSignal,
  informOf,
  locationOf,
  readBringing,
  readDialect,
  requireDialect,
  type RufhContext,
  type RufhParts,
  setLimit,
} from './requests.ts';

/** Whether a request to a target creates a resumable upload; any other is an ordinary one, with the whole file as its body. */
export function isResumable(ctx: RufhContext): boolean {
  const dialect = readDialect(ctx);
  return dialect !== undefined && readCompletion(ctx.req.headers, dialect) !== undefined;
}

/** Creates an upload. */
export async function create(ctx: RufhContext, parts: RufhParts): Promise<void> {
  const dialect = requireDialect(ctx);
  const bringing = readBringing(ctx, dialect, readCompletion(ctx.req.headers, dialect) ?? true);
  const declaration = readDeclaration(ctx.req.headers, queryOf(ctx, parts), parts.digests);
  const length = resolveLength({ known: null, offset: 0, ...bringing });
  refuseTooLarge(ctx, parts, Math.max(length ?? 0, bringing.contentLength ?? 0));
  const instant = await findInstant(ctx, parts, declaration, length);
  if (instant) answerPublished(ctx, parts, dialect, instant);
  else await receiveNew(ctx, parts, bringing, declaration, length);
}

async function receiveNew(
  ctx: RufhContext,
  parts: RufhParts,
  bringing: Bringing,
  declaration: Declaration,
  length: number | null,
): Promise<void> {
  const { dialect, isComplete } = bringing;
  const id = parts.newId();
  const declared = isComplete ? length : null;
  const request = { id, owner: ctx.state.owner, declaration: { ...declaration, size: declared } };
  const writer = await parts.uploads.beginWriting(request);
  ctx.state.uploadId = id;
  try {
    if (length !== declared) await expectLength(writer, length);
    await writer.durable();
    const location = locationOf(ctx, id);
    ctx.set('Location', location);
    informOf(ctx, dialect, { Location: location, 'Upload-Limit': writeLimit(parts.limits, dialect) });
    const { file, offset } = await receive(ctx, parts, bringing, { writer, offset: 0, length, declared });
    if (file) {
      answerPublished(ctx, parts, dialect, file);
      if (dialect.locatesUpload) ctx.set('Location', location);
      return;
    }
    setLimit(ctx, parts, dialect);
    answerIncomplete(ctx, dialect, 201, offset);
  } finally {
    await writer.release();
  }
}

/** Announces the length of a new upload. Where it is refused, nothing is left: the client knows no address of it yet. */
async function expectLength(writer: Writer, length: number | null): Promise<void> {
  try {
    await writer.expectLength(length);
  } catch (error) {
    await writer.end();
    throw error;
  }
}

/** Receives an ordinary upload: the body is the whole file, and nothing is kept of one that ends early. */
export async function receiveOrdinary(ctx: RufhContext, parts: RufhParts): Promise<void> {
  refusePart(ctx);
  const { headers } = ctx.req;
  const length = contentLengthOf(headers);
  const declaration = readDeclaration(headers, queryOf(ctx, parts), parts.digests);
  refuseTooLarge(ctx, parts, length ?? 0);
  const instant = await findInstant(ctx, parts, declaration, length ?? null);
  const file =
    instant ??
    (
      await parts.uploads.receiveWhole(
        { owner: ctx.state.owner, declaration, checksum: readContentDigest(headers), bytes: length },
        ctx.req,
        goneSignal(ctx),
      )
    ).file;
  answerPublished(ctx, parts, undefined, file);
}

/** What the query of a request to a target says about the file. */
function queryOf(ctx: RufhContext, { nameInQuery, onConflictInQuery }: RufhParts): NamedInQuery {
  return { name: nameInQuery(ctx), onConflict: onConflictInQuery(ctx) };
}

/** A part of a file, in a dialect that the service does not speak, must not be taken for the whole. @throws `invalid_field`. */
function refusePart(ctx: RufhContext): void {
  const { headers } = ctx.req;
  const isPart =
    booleanField(headers, 'Upload-Complete') === false ||
    booleanField(headers, 'Upload-Incomplete') === true ||
    mediaTypeOfContent(headers) === PARTIAL_TYPE;
  if (isPart) requireDialect(ctx);
}

function refuseTooLarge(ctx: RufhContext, { limits }: RufhParts, length: number): void {
  const most = mostFileBytes(limits);
  if (length <= most) return;
  const dialect = readDialect(ctx);
  if (dialect) ctx.set('Upload-Limit', writeLimit(limits, dialect));
  throw new TidemarkError('too_large', {
    message: `The file is larger than this service accepts: at most ${most} bytes.`,
  });
}

/**
 * Instant upload: a file of the content that the declaration names, where this owner has a file of it. Without its MD5 and
 * its length a content is not named.
 */
async function findInstant(
  ctx: RufhContext,
  { files }: RufhParts,
  { md5, sha1, sha256, filename, onConflict }: Declaration,
  length: number | null,
): Promise<FileView | undefined> {
  if (md5 === null || length === null) return undefined;
  const query = { owner: ctx.state.owner, md5, size: length, ...(sha256 === null ? {} : { sha256 }) };
  const found = await files.check(query);
  if (found.status !== 'exists' || !found.file) return undefined;
  // Where it is known, a wrong one is: the bytes are received, and refused.
  if (sha1 !== null && found.file.content.sha1 !== sha1) return undefined;
  const replaces = onConflict ? { onConflict } : {};
  const again = await files.check({ ...query, filename: filename ?? md5, ...replaces });
  return again.status === 'exists' ? (again.file ?? undefined) : undefined;
}
