/** Sends a file: as a stream, whole or a range, or as a redirect to the store's own address. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ByteRange } from '../../stores/store.ts';
import type { Files, FileView } from '../uploads/contract.ts';
import { TidemarkError } from '../uploads/errors.ts';
import { versionOf } from '../uploads/shown.ts';
import { lastPart } from '../wire/paths.ts';
import { type Representation, type Selection, select } from './conditions.ts';
import { present, presentationHeaders } from './disposition.ts';
import { refusal, toRefusal } from './refusals.ts';
import type { Ctx } from './state.ts';
import { whileHeard } from './while-heard.ts';

/** The largest range that the service sends itself for `direct`, where it otherwise redirects to the store: a preview. */
const MOST_DIRECT_BYTES = 1024 * 1024;

/** The fields that are needed to send a file, or a content that is no file of the client's. */
export type ShownFile = Pick<FileView, 'name' | 'type' | 'uploadedAt' | 'content'>;

/**
 * Answers a GET or HEAD with a file.
 *
 * @param options.save - the browser shall save the file, whatever its type.
 * @param options.shared - shared caches may store it.
 * @param options.direct - the service sends a small range itself, and does not redirect to the store.
 * @param options.begin - called before the first byte is sent.
 * @throws `precondition_failed`, `range_not_satisfiable`, and the errors of `files`.
 */
export async function sendFile(
  ctx: Ctx,
  files: Files,
  file: ShownFile,
  options: { save: boolean; shared: boolean; direct?: boolean; begin?: Begin },
): Promise<void> {
  const { size } = file.content;
  // A strong ETag (RFC 9110 section 8.8.3): a file's content never changes.
  const etag = `"${versionOf(file)}"`;
  const modifiedAt = new Date(file.uploadedAt);
  const presentation = present(lastPart(file.name), file.type, options.save);
  ctx.set({
    ...presentationHeaders(presentation),
    'Accept-Ranges': 'bytes',
    ETag: etag,
    'Last-Modified': modifiedAt.toUTCString(),
    // The bytes at an address never change, but the file can be deleted: caches have to ask each time.
    'Cache-Control': `${options.shared ? 'public' : 'private'}, no-cache`,
  });

  const selection = selectToSend(ctx, { etag, modifiedAt, size });
  if (!selection) return;
  // A GET would fail where the bytes are missing, so HEAD has to fail, too.
  if (ctx.method === 'HEAD') await files.requireBytes(file);
  const isDirect = options.direct === true && isSmall(selection);
  const address = ctx.method === 'GET' && !isDirect ? await files.addressOf(file, presentation) : null;
  if (address === null) {
    await sendSelected(ctx, size, selection, (range, signal) => files.open(file, range, signal), options.begin);
    return;
  }
  await options.begin?.(selection);
  redirect(ctx, address);
}

/**
 * Called before the first byte of an answer is sent, where there is one; may refuse.
 *
 * @returns what is to be called where nothing of the answer was sent after all.
 */
export type Begin = (selection: ToSend) => Promise<() => Promise<void>>;

/** What is sent: all of it, or a range. */
export type ToSend = Extract<Selection, { kind: 'range' | 'whole' }>;

/**
 * What the request selects, by its conditions and its range.
 *
 * @returns undefined where nothing is sent, as the client has it: the answer is 304.
 * @throws `precondition_failed`, `range_not_satisfiable`.
 */
export function selectToSend(ctx: Ctx, of: Representation): ToSend | undefined {
  const selection = select(ctx.method, ctx.req.headers, of);
  switch (selection.kind) {
    case 'not_modified':
      ctx.status = 304;
      return undefined;
    case 'precondition_failed':
      throw refusal('precondition_failed');
    case 'not_satisfiable':
      throw refusal('range_not_satisfiable', {
        field: 'Range',
        message: `The file has ${of.size} bytes; the range lies outside of them.`,
        headers: { 'Content-Range': `bytes */${of.size}` },
      });
    case 'range':
    case 'whole':
      return selection;
  }
}

function isSmall(selection: ToSend): boolean {
  return selection.kind === 'range' && selection.range.end - selection.range.start < MOST_DIRECT_BYTES;
}

/**
 * Redirects the client to the store. The answer keeps the ETag that HEAD has: by it, a client knows whether the bytes that it
 * has are of this file. The store's own ETag is another one.
 */
function redirect(ctx: Ctx, address: string): void {
  for (const name of ['Content-Type', 'Content-Disposition', 'Accept-Ranges', 'Last-Modified']) ctx.remove(name);
  ctx.set({ Location: address, 'Cache-Control': 'no-store' });
  ctx.status = 302;
  ctx.body = '';
}

/** Sends what `selectToSend` has selected. @param size - of the whole. @param open - opens the bytes, or a range of them. */
export async function sendSelected(
  ctx: Ctx,
  size: number,
  selection: ToSend,
  open: (range: ByteRange | undefined, signal: AbortSignal) => Promise<Readable>,
  begin?: Begin,
): Promise<void> {
  const count = begin && (() => begin(selection));
  if (selection.kind === 'whole') {
    ctx.status = 200;
    await send(ctx, size, (signal) => open(undefined, signal), count);
    return;
  }
  const { start, end } = selection.range;
  ctx.status = 206;
  ctx.set('Content-Range', `bytes ${start}-${end}/${size}`);
  await send(ctx, end - start + 1, (signal) => open(selection.range, signal), count);
}

/** Calls `begin`; closes the bytes where that refuses. */
async function beginOrClose(stream: Readable, begin: () => Promise<() => Promise<void>>): Promise<() => Promise<void>> {
  // What fails meanwhile is noticed by the pipeline, which finds the stream destroyed.
  stream.on('error', () => undefined);
  try {
    return await begin();
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

async function send(
  ctx: Ctx,
  length: number,
  open: (signal: AbortSignal) => Promise<Readable>,
  begin?: () => Promise<() => Promise<void>>,
): Promise<void> {
  ctx.length = length;
  if (ctx.method === 'HEAD') return;
  const stream = await whileHeard(ctx, 'a download', open);
  const giveBack = stream && begin && (await beginOrClose(stream, begin));
  ctx.respond = false;
  if (!stream) return;
  ctx.res.statusCode = ctx.status;
  let broken: unknown;
  // Where the client leaves, the source fails as well: that is no fault of the store.
  function note(error: unknown): void {
    if (!ctx.res.destroyed) broken ??= error;
  }
  // Runs before the pipeline's own listener, which closes the connection at once.
  stream.once('error', note);

  /**
   * Passes on exactly `length` bytes, or fails. Content-Length is sent already: with another number of bytes, the client would
   * misread the next answer on this connection.
   */
  async function* exactly(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let sent = 0;
    try {
      for await (const chunk of source) {
        sent += chunk.length;
        if (sent > length) break;
        yield chunk;
      }
      if (sent !== length)
        throw new Error(`the store has ${sent > length ? 'more' : 'fewer'} than ${length} bytes of it`);
    } catch (error) {
      note(error);
      throw error;
    }
  }

  try {
    // Closes the file when the client leaves, and the connection when the store fails.
    await pipeline(stream, exactly, ctx.res);
  } catch (error) {
    if (broken === undefined) ctx.state.log.debug({ err: error }, 'a download ended early');
    else ctx.state.failure = toRefusal(new TidemarkError('internal', { cause: broken }));
    // The head goes with the first byte.
    if (!ctx.res.headersSent) await giveBack?.();
  }
}
