/** The bytes of files: below /files, and of a published upload below /uploads. */
import type Router from '@koa/router';
import { ANYONE, type Config } from '../config/config.ts';
import type { ContentView, Files, FileView, Uploads, UploadView } from '../uploads/contract.ts';
import { hasCode, TidemarkError } from '../uploads/errors.ts';
import { idleSeconds } from '../uploads/idle.ts';
import { filePath } from '../wire/addresses.ts';
import { encodeName } from '../wire/labels.ts';
import { formatContentName, parseContentName, typeOfName } from '../uploads/names.ts';
import { param } from './query.ts';
import { refusal } from './refusals.ts';
import { sendFile, type ShownFile } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

export function addContentRoutes(
  router: Router<RequestState>,
  parts: { config: Config; files: Files; uploads: Uploads; tusVersion: string },
): void {
  const { files, uploads } = parts;
  const { publicRead } = parts.config.access;

  router.get('/files/:name', async (ctx) => {
    // The extension is for people and programs that look at the address; the digest says it all.
    const [name = '', ...rest] = (ctx.params['name'] ?? '').split('.');
    const content = parseContentName(name);
    if (!content) throw new TidemarkError('not_found');
    const { owner } = ctx.state;
    const file = await files.find(content, owner, 'oldest').catch(async (error: unknown) => {
      // The content is open to all; the names that other owners gave it are not.
      if (!publicRead || !hasCode(error, 'not_found')) throw error;
      return withoutName(await files.findContent(content), rest.at(-1) ?? '');
    });
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx) });
  });

  router.get('/api/files/:id/content', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    // Only a file's owner learns its id, which cannot be guessed: the asker got the address from the owner.
    const file = await files.get(id, publicRead ? null : ctx.state.owner);
    const direct = param(ctx, 'direct') !== undefined;
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx), direct });
  });

  function isShared(ctx: Ctx): boolean {
    return publicRead && ctx.state.owner === ANYONE;
  }

  router.get('/uploads/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    ctx.state.uploadId = id;
    const upload = await uploads.view(id, ctx.state.owner);
    const file = upload.fileId === null ? null : await files.get(upload.fileId, ctx.state.owner);
    // A cache may make a GET of a tus client's HEAD, and answer that with what it got.
    if (ctx.get('Tus-Resumable') !== '')
      ctx.set({ ...stateHeaders(upload), ...nameHeaders(upload, file, ctx.state.baseUrl) });
    if (file === null) {
      sendUnfinished(ctx, parts.tusVersion);
      return;
    }
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: false });
  });
}

/** Extensions that a content without a name may be asked for by: no program runs what they stand for. */
const INERT = new Set('avif flac gif jpeg jpg m4a mp3 mp4 ogg pdf png txt wav webm webp'.split(' '));

/** For askers who have no file of it: they learn no other owner's name or type. */
function withoutName(content: ContentView, extension: string): ShownFile {
  const suffix = INERT.has(extension.toLowerCase()) ? `.${extension.toLowerCase()}` : '';
  const name = formatContentName(content) + suffix;
  return { name, type: typeOfName(name), uploadedAt: content.publishedAt, content };
}

/** The bytes cannot be read yet; a tus client is told how many have come. @throws `not_found`, `unsupported_tus_version`. */
function sendUnfinished(ctx: Ctx, tusVersion: string): void {
  if (ctx.get('Tus-Resumable') === '') {
    if (ctx.method === 'GET') throw new TidemarkError('not_found', { message: 'The upload is not finished yet.' });
    throw refusal('unsupported_tus_version', {
      field: 'Tus-Resumable',
      headers: { 'Tus-Version': tusVersion },
    });
  }
  ctx.set('Cache-Control', 'no-store');
  ctx.status = 200;
  ctx.body = '';
}

/** Where an upload stands, as HEAD tells a tus client. */
function stateHeaders(upload: UploadView): Record<string, string> {
  const { offset, size, metadata, expiresAt, state } = upload;
  const isUnfinished = state === 'receiving';
  return {
    'Upload-Offset': String(offset),
    ...(size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) }),
    ...(metadata === '' ? {} : { 'Upload-Metadata': metadata }),
    ...(isUnfinished ? { 'Upload-Expires': new Date(expiresAt).toUTCString() } : {}),
    ...(isUnfinished ? { 'Tidemark-Idle': String(idleSeconds(upload)) } : {}),
  };
}

/** What it is called, and the file that it became. */
function nameHeaders({ filename }: UploadView, file: FileView | null, baseUrl: string): Record<string, string> {
  const name = file?.name ?? filename;
  return {
    ...(name === null ? {} : { 'Tidemark-File-Name': encodeName(name) }),
    ...(file === null ? {} : { 'Tidemark-File-Id': file.id, 'Tidemark-File-Url': baseUrl + filePath(file) }),
  };
}

function wantsToSave(ctx: Ctx): boolean {
  return param(ctx, 'download') !== undefined;
}
