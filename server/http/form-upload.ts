/** POST /upload: a whole file in a form, for clients that cannot resume. */
import { once } from 'node:events';
import type { Files, FileView, OnConflict, Published, Uploads } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import type { FormJson } from '../wire/files.ts';
import { filePath } from '../wire/addresses.ts';
import { cleanName, encodeName } from '../wire/labels.ts';
import { describeFile } from './file-json.ts';
import { type FormFile, receiveForm } from './form.ts';
import { conflictParam, decodeFormName, digestParam, nameParam } from './labels.ts';
import type { Ctx, Handler } from './state.ts';

export function formUploadRoute(parts: { files: Files; uploads: Uploads }): Handler {
  return async (ctx) => {
    const filename = nameParam(ctx, 'filename');
    const onConflict = conflictParam(ctx);
    const md5 = digestParam(ctx, 'md5');
    const sha256 = digestParam(ctx, 'sha256');
    // An equal MD5 is no proof: without a SHA-256, the bytes of the form are received and compared.
    if (md5 !== null && sha256 !== null) {
      const found = await parts.files.check({
        owner: ctx.state.owner,
        md5,
        sha256,
        ...(filename === undefined ? {} : { filename }),
        ...(onConflict ? { onConflict } : {}),
      });
      // "exists" promises a file of the client's own. Without a name for it, the bytes are received although they are here.
      if (found.status === 'exists' && found.file) {
        ctx.body = describe(ctx, 'exists', found.file);
        return;
      }
      if (found.status === 'uploading') {
        ctx.body = { status: 'uploading' } satisfies FormJson;
        return;
      }
    }
    const { file, wasHere } = await receiveFile(ctx, parts.uploads, {
      md5,
      sha256,
      ...(filename === undefined ? {} : { filename }),
      ...(onConflict ? { onConflict } : {}),
    });
    ctx.body = describe(ctx, md5 !== null && wasHere ? 'exists' : 'ok', file);
  };
}

function describe(ctx: Ctx, status: 'ok' | 'exists', file: FileView): FormJson {
  const { baseUrl } = ctx.state;
  return { status, url: baseUrl + filePath(file), file: describeFile(file, baseUrl) };
}

/**
 * Receives the file of a form. Its name is the declared one, else the one that the browser sends, else its MD5. Sending the
 * same form again adds no second file.
 */
export async function receiveFile(
  ctx: Ctx,
  uploads: Uploads,
  declared: { md5: string | null; sha256?: string | null; filename?: string; onConflict?: OnConflict },
): Promise<Published> {
  const received = await receiveForm(ctx, async (file, signal) => {
    if (declared.filename === undefined) await requireChosen(file);
    const declaration = {
      size: null,
      md5: declared.md5,
      sha1: null,
      sha256: declared.sha256 ?? null,
      filename: declared.filename ?? cleanName(decodeFormName(file.filename)),
      filetype: null,
      onConflict: declared.onConflict ?? null,
      metadata: '',
    };
    const bytes = leastBytes(ctx);
    return uploads.receiveWhole({ owner: ctx.state.owner, declaration, bytes }, file.stream, signal);
  });
  ctx.set('Tidemark-File-Name', encodeName(received.file.name));
  return received;
}

/** What stands around the file in a form is less: other fields, and the lines between them. */
const AROUND_BYTES = 64 * 1024;

/** How many bytes the file of a form has at least, where the request tells its length. */
function leastBytes(ctx: Ctx): number | undefined {
  const length = ctx.request.length as number | undefined;
  return length === undefined ? undefined : Math.max(0, length - AROUND_BYTES);
}

/**
 * Refuses a form without a chosen file: a browser then sends a file without name and bytes (HTML, "constructing the entry
 * list").
 */
async function requireChosen({ filename, stream }: FormFile): Promise<void> {
  if (filename !== '') return;
  const ended = new AbortController();
  await Promise.race(
    ['readable', 'end', 'close'].map((event) => once(stream, event, { signal: ended.signal })),
  ).finally(() => ended.abort());
  if (stream.readableLength === 0) throw invalidField('file', 'No file was chosen in the field file.');
}
