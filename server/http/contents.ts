/** The bytes of files: below /files, and of a published upload below /uploads. */
import type Router from '@koa/router';
import { ANYONE, type Config } from '../config/config.ts';
import type { Files, Uploads } from '../uploads/contract.ts';
import { hasCode, TidemarkError } from '../uploads/errors.ts';
import { parseContentName } from '../uploads/names.ts';
import { param } from './query.ts';
import { sendFile } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

export function addContentRoutes(
  router: Router<RequestState>,
  parts: { config: Config; files: Files; uploads: Uploads },
): void {
  const { files, uploads } = parts;
  const { publicRead } = parts.config.access;

  router.get('/files/:name', async (ctx) => {
    // The extension is for people and programs that look at the address; the digest says it all.
    const [name = ''] = (ctx.params['name'] ?? '').split('.', 1);
    const content = parseContentName(name);
    if (!content) throw new TidemarkError('not_found');
    const { owner } = ctx.state;
    const file = await files.find(content, owner).catch((error: unknown) => {
      // Open to all, under the name someone gave it; to its owner under the owner's own.
      if (publicRead && hasCode(error, 'not_found')) return files.find(content, null);
      throw error;
    });
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: publicRead && owner === ANYONE });
  });

  router.get('/uploads/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    ctx.state.uploadId = id;
    const upload = await uploads.view(id, ctx.state.owner);
    if (upload.fileId === null) throw new TidemarkError('not_found', { message: 'The upload is not finished yet.' });
    const file = await files.get(upload.fileId, ctx.state.owner);
    await sendFile(ctx, files, file, { save: wantsToSave(ctx), shared: false });
  });
}

function wantsToSave(ctx: Ctx): boolean {
  return param(ctx, 'download') !== undefined;
}
