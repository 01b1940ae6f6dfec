/** A file in a multipart form (RFC 7578), streamed to where files go. */
import { finished, PassThrough, type Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import type { Refusal } from '../refusal.ts';
import { invalidField, TidemarkError } from '../uploads/errors.ts';
import { MAX_HEADER_BYTES } from './limits.ts';
import { refusal } from './refusals.ts';
import type { Ctx } from './state.ts';

/** What a form's file is called, and its bytes. */
export interface FormFile {
  /** As the browser wrote it; '' where it did not. */
  filename: string;
  stream: Readable;
}

/**
 * Reads a form with one file in the field `file`, and passes it on as it comes. The
 * stream ends only when the whole form has been read and found right; else it breaks.
 *
 * @param take - stores the file; `signal` is aborted when the form turns out wrong.
 * @throws `unsupported_media_type`, `invalid_field`, `incomplete_form`; or what `take` threw.
 */
export async function receiveForm<T>(ctx: Ctx, take: (file: FormFile, signal: AbortSignal) => Promise<T>): Promise<T> {
  if (!ctx.request.is('multipart/form-data')) {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: 'Content-Type must be multipart/form-data.',
    });
  }
  const wrong = new AbortController();
  let taking: Promise<T> | undefined;
  let whole: PassThrough | undefined;

  function fail(error: TidemarkError | Refusal): void {
    if (wrong.signal.aborted) return;
    wrong.abort(error);
    whole?.destroy(error);
  }

  /** What `take` throws at once must not pass through the parser: nobody catches it there. */
  async function begin(file: FormFile): Promise<T> {
    return take(file, wrong.signal);
  }

  await new Promise<void>((resolve) => {
    const form = openForm(ctx, fail);
    if (!form) {
      resolve();
      return;
    }
    form.on('file', (field, stream, filename) => {
      // Broken off in the middle: the form says so too.
      stream.on('error', () => undefined);
      if (field !== 'file' || taking) {
        fail(
          field === 'file'
            ? invalidField('file', 'file must be there only once.')
            : invalidField(field, 'The file must be in the field file.'),
        );
        stream.resume();
        return;
      }
      const held = new PassThrough({ highWaterMark: 256 * 1024 });
      // Its consumer looks at how it ended; without a listener an error ends the process.
      held.on('error', () => undefined);
      stream.pipe(held, { end: false });
      whole = held;
      taking = begin({ filename: filename ?? '', stream: held });
      // Reported below; a refusal also ends the reading.
      taking.catch(() => resolve());
    });
    form.on('error', (cause) => {
      fail(new TidemarkError('incomplete_form', { cause }));
      resolve();
    });
    form.on('finish', () => {
      if (!wrong.signal.aborted) whole?.end();
      resolve();
    });
    wrong.signal.addEventListener('abort', () => resolve(), { once: true });
    finished(ctx.req, { writable: false }, (error) => {
      if (error) fail(new TidemarkError('incomplete_form', { cause: error }));
    });
    ctx.req.pipe(form);
  });
  // Refused in the middle: the rest of the body is discarded, and must not wait for the form's reader.
  ctx.req.unpipe();

  if (wrong.signal.aborted) {
    // `take` is removing what it took: the answer comes after that.
    await taking?.catch(() => undefined);
    throw wrong.signal.reason;
  }
  if (!taking) throw invalidField('file', 'The form must have a file in the field file.');
  return taking;
}

function openForm(ctx: Ctx, fail: (error: Refusal) => void): BusboyInstance | undefined {
  const contentType = ctx.get('Content-Type');
  try {
    return new Busboy({
      headers: { ...ctx.req.headers, 'content-type': contentType },
      defCharset: 'utf8',
      // What becomes of a path in a name is decided in one place.
      preservePath: true,
      limits: { headerSize: MAX_HEADER_BYTES, fieldSize: MAX_HEADER_BYTES, fields: 100, parts: 200 },
    });
  } catch (cause) {
    fail(refusal('invalid_request', { message: 'Content-Type must name the boundary of the form.', cause }));
    return undefined;
  }
}
