/** POST /upload: a whole file in a form, for clients that cannot resume. */
import type { Files, Published, Uploads } from '../uploads/contract.ts';
import { checkDigest, checkName, filePath } from '../uploads/names.ts';
import { receiveForm } from './form.ts';
import { param } from './query.ts';
import type { Ctx, Handler } from './state.ts';

export function formUploadRoute(parts: { files: Files; uploads: Uploads }): Handler {
  return async (ctx) => {
    const given = param(ctx, 'md5');
    const filename = param(ctx, 'filename');
    const md5 = given === undefined ? null : checkDigest(given, 'md5', 'md5');
    const givenSha256 = param(ctx, 'sha256');
    const sha256 = givenSha256 === undefined ? null : checkDigest(givenSha256, 'sha256', 'sha256');
    if (filename !== undefined) checkName(filename, 'filename');
    // MD5 names, it does not prove: without a SHA-256 the bytes of the form are read and compared.
    if (md5 !== null && sha256 !== null) {
      const found = await parts.files.check({
        owner: ctx.state.owner,
        md5,
        sha256,
        ...(filename === undefined ? {} : { filename }),
      });
      // Content of others without a name to give it is sent after all: "exists" promises a file of one's own.
      if (found.status === 'exists' && found.file) {
        ctx.body = { status: 'exists', url: ctx.state.baseUrl + filePath(found.file) };
        return;
      }
      if (found.status === 'uploading') {
        ctx.body = { status: 'uploading' };
        return;
      }
    }
    const { file, wasHere } = await receiveFile(ctx, parts.uploads, {
      md5,
      sha256,
      ...(filename === undefined ? {} : { filename }),
    });
    ctx.body = { status: md5 !== null && wasHere ? 'exists' : 'ok', url: ctx.state.baseUrl + filePath(file) };
  };
}

/**
 * Takes the form's file; its name is the one given, else what the browser says. Where an MD5
 * was declared, a form that is sent again makes no second file.
 */
export function receiveFile(
  ctx: Ctx,
  uploads: Uploads,
  declared: { md5: string | null; sha256?: string | null; filename?: string },
): Promise<Published> {
  return receiveForm(ctx, ({ filename, stream }, signal) => {
    const name = checkName(declared.filename ?? baseName(filename), declared.filename ? 'filename' : 'file');
    const declaration = {
      size: null,
      md5: declared.md5,
      sha1: null,
      sha256: declared.sha256 ?? null,
      filename: name,
      filetype: null,
      metadata: '',
    };
    return uploads.receiveWhole(
      { owner: ctx.state.owner, declaration, reuseFile: declared.md5 !== null },
      stream,
      signal,
    );
  });
}

/** Old browsers send a whole path. */
function baseName(filename: string): string {
  return filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1);
}
