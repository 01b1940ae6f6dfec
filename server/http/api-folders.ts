/** Folders over HTTP: look at, move and delete one, by its path. */
import type Router from '@koa/router';
import type { Folders } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import type { DeletedJson, MoveJson } from '../wire/files.ts';
import { describeFolder } from './file-json.ts';
import { folderParam } from './labels.ts';
import { param, readJson } from './query.ts';
import type { Ctx, RequestState } from './state.ts';
import { whileHeard } from './while-heard.ts';

const PATH = '/api/folders';

export function addFolderRoutes(router: Router<RequestState>, folders: Folders): void {
  router.get(PATH, async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeFolder(await folders.get(pathOf(ctx), ctx.state.owner));
  });

  router.patch(PATH, async (ctx) => {
    const path = pathOf(ctx);
    const { path: to }: { [K in keyof MoveJson]?: unknown } = await readJson(ctx);
    if (typeof to !== 'string') throw invalidField('path', 'path must be a text: the new path of the folder.');
    ctx.body = describeFolder(await folders.move(path, ctx.state.owner, to));
  });

  router.delete(PATH, async (ctx) => {
    const path = pathOf(ctx);
    const cursor = param(ctx, 'cursor');
    const from = { path, owner: ctx.state.owner, ...(cursor ? { cursor } : {}) };
    const deleted = await whileHeard(ctx, 'the deletion of a folder', (signal) => folders.remove({ ...from, signal }));
    if (deleted) ctx.body = deleted satisfies DeletedJson;
    else ctx.respond = false;
  });
}

/** @throws `invalid_field`. */
function pathOf(ctx: Ctx): string {
  const path = folderParam(ctx, 'path');
  if (path === undefined || path === '') throw invalidField('path', 'path is required: the path of a folder.');
  return path;
}
