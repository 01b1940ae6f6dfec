/** Receives a file in a multipart form (RFC 7578), as a stream. */
import { finished, PassThrough, type Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import type { Refusal } from '../refusal.ts';
import { invalidField, TidemarkError } from '../uploads/errors.ts';
import { MAX_HEADER_BYTES } from './limits.ts';
import { refusal } from './refusals.ts';
import type { Ctx } from './state.ts';

/** The name and the bytes of a form's file. */
export interface FormFile {
  /** As the browser wrote it; '' without one. */
  filename: string;
  stream: Readable;
}

/**
 * Reads a form with one file in the field `file`, and passes its bytes on as they arrive.
 * The stream ends only after the whole form was read and is valid; otherwise it fails.
 *
 * @param take - stores the file; its `signal` is aborted when the form turns out to be invalid.
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

  /** Async, so that what `take` throws synchronously does not pass through the parser, where nothing catches it. */
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
      // Where the body breaks off, the form reports an error, too.
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
      // `take` handles errors of the stream; without any listener, an error would end the process.
      held.on('error', () => undefined);
      stream.pipe(held, { end: false });
      whole = held;
      taking = begin({ filename: filename ?? '', stream: held });
      // The error is reported below. It also ends the reading of the form.
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
  // After a refusal, the rest of the body is discarded (linger.ts), and must not wait for the form's parser.
  ctx.req.unpipe();

  if (wrong.signal.aborted) {
    // Waits until `take` has removed what it had stored.
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
      // cleanName alone decides what becomes of a path in a name.
      preservePath: true,
      limits: { headerSize: MAX_HEADER_BYTES, fieldSize: MAX_HEADER_BYTES, fields: 100, parts: 200 },
    });
  } catch (cause) {
    fail(refusal('invalid_request', { message: 'Content-Type must name the boundary of the form.', cause }));
    return undefined;
  }
}
