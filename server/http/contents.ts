/** Downloads: below /files by MD5, of a file below /api/files, and of a published upload below /uploads. */
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
  routers: Record<'uploads' | 'files', Router<RequestState>>,
  parts: {
    config: Config;
    files: Files;
    uploads: Uploads;
    tusVersion: string;
    tusState: (upload: UploadView) => Record<string, string>;
  },
): void {
  const { files, uploads } = parts;
  const { publicRead } = parts.config.access;

  routers.files.get('/files/:name', async (ctx) => {
    // Only the digest selects the content; the extension is for people and programs that look at the address.
    const [name = '', ...rest] = (ctx.params['name'] ?? '').split('.');
    const content = parseContentName(name);
    if (!content) throw new TidemarkError('not_found');
    const { owner } = ctx.state;
    const file = await files.find(content, owner, 'oldest').catch(async (error: unknown) => {
      // With PUBLIC_READ the content is open to all, but not the names that other owners have given it.
      if (!publicRead || !hasCode(error, 'not_found')) throw error;
      return withoutName(await files.findContent(content), rest.at(-1) ?? '');
    });
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx) });
  });

  routers.files.get('/api/files/:id/content', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    // With PUBLIC_READ the address is enough: the id cannot be guessed, and only the owner can have passed it on.
    const file = await files.get(id, publicRead ? null : ctx.state.owner);
    const direct = param(ctx, 'direct') !== undefined;
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx), direct });
  });

  function isShared(ctx: Ctx): boolean {
    return publicRead && ctx.state.owner === ANYONE;
  }

  routers.uploads.get('/uploads/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    ctx.state.uploadId = id;
    const upload = await uploads.view(id, ctx.state.owner);
    const file = upload.fileId === null ? null : await files.get(upload.fileId, ctx.state.owner);
    // A cache may turn a tus client's HEAD into a GET, without its Tus-Resumable, and answer the HEAD with the headers of this
    // answer.
    if (file !== null || ctx.method === 'GET' || ctx.get('Tus-Resumable') !== '')
      ctx.set({ ...parts.tusState(upload), ...lifeHeaders(upload), ...nameHeaders(upload, file, ctx.state.baseUrl) });
    if (file === null) {
      sendUnfinished(ctx, parts.tusVersion);
      return;
    }
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: false });
  });
}

/** Extensions with which a content without a name may be requested: no program executes files of these types. */
const INERT = new Set('avif flac gif jpeg jpg m4a mp3 mp4 ogg pdf png txt wav webm webp'.split(' '));

/** The content as a client without a file of it sees it: without the names and types that other owners have given it. */
function withoutName(content: ContentView, extension: string): ShownFile {
  const suffix = INERT.has(extension.toLowerCase()) ? `.${extension.toLowerCase()}` : '';
  const name = formatContentName(content) + suffix;
  return { name, type: typeOfName(name), uploadedAt: content.publishedAt, content };
}

/**
 * Answers for an upload that is not published yet: its offset is in the headers that are set already.
 *
 * @throws `not_found` or `unsupported_tus_version` for a client that does not speak tus.
 */
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

/** When an upload expires, and when its last byte came, in the headers of an answer to a tus HEAD. */
function lifeHeaders(upload: UploadView): Record<string, string> {
  const { expiresAt, state } = upload;
  const isUnfinished = state === 'receiving';
  return {
    ...(isUnfinished ? { 'Upload-Expires': new Date(expiresAt).toUTCString() } : {}),
    ...(isUnfinished ? { 'Tidemark-Idle': String(idleSeconds(upload)) } : {}),
  };
}

/** The name of an upload, and its published file, as headers. */
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
