/** The bytes of files: below /files, and of a published upload below /uploads. */
import type Router from '@koa/router';
import type { ContentRecord } from '../catalog/catalog.ts';
import { ANYONE, type Config } from '../config/config.ts';
import type { Files, Uploads } from '../uploads/contract.ts';
import { hasCode, TidemarkError } from '../uploads/errors.ts';
import { formatContentName, parseContentName, typeOfName } from '../uploads/names.ts';
import { param } from './query.ts';
import { sendFile, type ShownFile } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

export function addContentRoutes(
  router: Router<RequestState>,
  parts: { config: Config; files: Files; uploads: Uploads },
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
      // Open to all; but under which names others have it is their business.
      if (!publicRead || !hasCode(error, 'not_found')) throw error;
      return withoutName(await files.findContent(content), rest.at(-1) ?? '');
    });
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx) });
  });

  router.get('/api/files/:id/content', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    // Ids are given to a file's owner alone, and cannot be guessed: whoever has the address was given it.
    const file = await files.get(id, publicRead ? null : ctx.state.owner);
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: isShared(ctx) });
  });

  function isShared(ctx: Ctx): boolean {
    return publicRead && ctx.state.owner === ANYONE;
  }

  router.get('/uploads/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    ctx.state.uploadId = id;
    const upload = await uploads.view(id, ctx.state.owner);
    if (upload.fileId === null) throw new TidemarkError('not_found', { message: 'The upload is not finished yet.' });
    const file = await files.get(upload.fileId, ctx.state.owner);
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: false });
  });
}

/** Extensions that a content without a name may be asked for by: no program runs what they stand for. */
const INERT = new Set('avif flac gif jpeg jpg m4a mp3 mp4 ogg pdf png txt wav webm webp'.split(' '));

/** For those who have no file of it. Nobody else's name or type is told, and nobody chooses one for them. */
function withoutName(content: ContentRecord, extension: string): ShownFile {
  const suffix = INERT.has(extension.toLowerCase()) ? `.${extension.toLowerCase()}` : '';
  const name = formatContentName(content) + suffix;
  return { name, type: typeOfName(name), uploadedAt: content.publishedAt, content };
}

function wantsToSave(ctx: Ctx): boolean {
  return param(ctx, 'download') !== undefined;
}
