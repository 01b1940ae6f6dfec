/** Requests to an upload: its state, more of its bytes, its end. */
import { mostFileBytes, type UploadView } from '../../uploads/contract.ts';
import { TidemarkError } from '../../uploads/errors.ts';
import type { Dialect } from './dialects.ts';
import { mediaTypeOfContent, PARTIAL_TYPE, readCompletion } from './fields.ts';
import { resolveLength } from './lengths.ts';
import { receive } from './receive.ts';
import { invalidHeader, refusal } from './refusals.ts';
import {
  answerIncomplete,
  answerPublished,
  type Bringing,
  fileHeaders,
  goneSignal,
  publishedFile,
  readBringing,
  readBytes,
  requireDialect,
  type RufhContext,
  type RufhParts,
  setLimit,
  setState,
} from './requests.ts';

/** HEAD and GET: where the upload can be resumed. The client has given up its earlier request, which is ended. */
export async function tellState(ctx: RufhContext, parts: RufhParts): Promise<void> {
  const dialect = requireDialect(ctx);
  refuseFieldsOfAppends(ctx, dialect);
  const upload = await parts.uploads.fence(idOf(ctx), ctx.state.owner, goneSignal(ctx));
  const isComplete = upload.state === 'complete';
  setState(ctx, dialect, { offset: upload.offset, isComplete });
  setLimit(ctx, parts, dialect, isComplete ? null : upload.leftMs);
  const length = upload.size ?? upload.expectedSize;
  if (length !== null) ctx.set('Upload-Length', String(length));
  const file = await publishedFile(parts, ctx, upload);
  if (file) ctx.set(fileHeaders(file, ctx.state));
  ctx.status = 204;
}

/** DELETE: ends the upload. A file that it became stays. */
export async function cancel(ctx: RufhContext, parts: RufhParts): Promise<void> {
  const dialect = requireDialect(ctx);
  refuseFieldsOfAppends(ctx, dialect);
  await parts.uploads.end(idOf(ctx), ctx.state.owner, goneSignal(ctx));
  ctx.set('Upload-Draft-Interop-Version', String(dialect.version));
  ctx.status = 204;
}

/** PATCH: more bytes. */
export async function append(ctx: RufhContext, parts: RufhParts): Promise<void> {
  const dialect = requireDialect(ctx);
  const id = idOf(ctx);
  const begun = parts.uploads.markComing(id);
  try {
    await appendTo(id, begun, ctx, parts, dialect);
  } finally {
    begun();
  }
}

async function appendTo(
  id: string,
  begun: () => void,
  ctx: RufhContext,
  parts: RufhParts,
  dialect: Dialect,
): Promise<void> {
  const { offset, isComplete } = readAppend(ctx, dialect);
  const bringing = readBringing(ctx, dialect, isComplete);
  const writer = await parts.uploads.open(id, ctx.state.owner, { signal: goneSignal(ctx), offset });
  try {
    const upload =
      writer.upload.state === 'receiving' ? writer.upload : await parts.uploads.current(id, ctx.state.owner);
    if (upload.state === 'complete') {
      await answerComplete(ctx, parts, bringing, { upload, offset });
      return;
    }
    if (upload.kind === 'partial') throw refusal('upload_is_partial');
    if (offset !== upload.offset) throw new TidemarkError('offset_conflict', { offset: upload.offset });
    const length = resolveLength({ known: upload.size ?? upload.expectedSize, offset, ...bringing });
    if (Math.max(length ?? 0, offset + (bringing.contentLength ?? 0)) > mostFileBytes(parts.limits)) {
      setLimit(ctx, parts, dialect, upload.leftMs);
      throw new TidemarkError('too_large');
    }
    let declared = upload.size;
    if (!isComplete && (declared !== null || length !== upload.expectedSize)) {
      await writer.expectLength(length);
      declared = null;
    }
    const received = await receive(ctx, parts, bringing, { writer, offset, length, declared, onReading: begun });
    if (received.file) {
      answerPublished(ctx, parts, dialect, received.file);
      return;
    }
    setLimit(ctx, parts, dialect);
    answerIncomplete(ctx, dialect, dialect.appendedStatus, received.offset);
  } finally {
    await writer.release();
  }
}

/** The fields that an append must have. @throws `unsupported_media_type`, `invalid_field`. */
function readAppend(ctx: RufhContext, dialect: Dialect): { offset: number; isComplete: boolean } {
  const { headers } = ctx.req;
  if (dialect.hasMediaType && mediaTypeOfContent(headers) !== PARTIAL_TYPE) {
    const message = `Content-Type must be ${PARTIAL_TYPE}.`;
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message,
      headers: { 'Accept-Patch': PARTIAL_TYPE },
    });
  }
  const offset = readBytes(ctx, 'Upload-Offset');
  if (offset === undefined) throw invalidHeader('Upload-Offset', 'Upload-Offset must be a whole number of bytes.');
  const isComplete = readCompletion(headers, dialect) ?? (dialect.completesByDefault ? true : undefined);
  if (isComplete === undefined) throw invalidHeader('Upload-Complete', 'Upload-Complete must be ?1 or ?0.');
  return { offset, isComplete };
}

/** An append to an upload that is complete: the answer to the last one may have been lost. */
async function answerComplete(
  ctx: RufhContext,
  parts: RufhParts,
  bringing: Bringing,
  { upload, offset }: { upload: UploadView; offset: number },
): Promise<void> {
  const { dialect, contentLength } = bringing;
  if (dialect.refusesWhenComplete) throw refusal('completed_upload');
  if (offset !== upload.offset) throw new TidemarkError('offset_conflict', { offset: upload.offset });
  // More content would not be in the file that the answer describes; whether a chunked one has any is not known yet.
  if (contentLength === undefined) throw refusal('completed_upload');
  resolveLength({ known: upload.size, offset, ...bringing });
  const file = await publishedFile(parts, ctx, upload);
  if (!file) throw new TidemarkError('not_found');
  answerPublished(ctx, parts, dialect, file);
}

/** @throws `invalid_field`, in the dialects that say so. */
function refuseFieldsOfAppends({ req }: RufhContext, dialect: Dialect): void {
  if (!dialect.refusesFieldsOfAppends) return;
  for (const name of ['Upload-Offset', dialect.completion, 'Upload-Length']) {
    if (req.headers[name.toLowerCase()] !== undefined) {
      throw invalidHeader(name, `${name} must not be in this request.`);
    }
  }
}

/** The id in an upload's path. @throws `not_found`. */
function idOf(ctx: RufhContext): string {
  const id = ctx.path.slice(ctx.path.lastIndexOf('/') + 1);
  if (!/^[A-Za-z0-9-]{1,64}$/.test(id)) throw new TidemarkError('not_found');
  ctx.state.uploadId = id;
  return id;
}
