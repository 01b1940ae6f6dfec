/** The catalog over HTTP: list, look at, rename and delete files. */
import type Router from '@koa/router';
import type { Files } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkCharacters, MAX_SEARCH_BYTES } from '../uploads/names.ts';
import type { FilePageJson, FileSortJson, RenameJson } from '../wire/files.ts';
import { describeFile } from './file-json.ts';
import { choiceParam, numberParam, param, readJson } from './query.ts';
import type { RequestState } from './state.ts';

const SORTS: readonly FileSortJson[] = ['uploaded', 'name', 'size'];

export function addFileRoutes(router: Router<RequestState>, files: Files): void {
  router.get('/api/files', async (ctx) => {
    const sort = choiceParam(ctx, 'sort', SORTS, 'uploaded');
    const search = param(ctx, 'search') ?? '';
    checkCharacters(search, 'search');
    // The database accepts only patterns of limited length, and a search scans all names of the owner.
    if (Buffer.byteLength(search) > MAX_SEARCH_BYTES) {
      throw invalidField('search', `search must be at most ${MAX_SEARCH_BYTES} bytes long in UTF-8.`);
    }
    const cursor = param(ctx, 'cursor');
    const page = await files.list({
      owner: ctx.state.owner,
      limit: numberParam(ctx, 'limit', 100, 1, 1000),
      sort,
      descending: choiceParam(ctx, 'order', ['asc', 'desc'], sort === 'name' ? 'asc' : 'desc') === 'desc',
      ...(search ? { search } : {}),
      ...(cursor ? { cursor } : {}),
    });
    const total = await files.totalOf(ctx.state.owner);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      files: page.files.map((file) => describeFile(file, ctx.state.baseUrl)),
      nextCursor: page.nextCursor,
      total,
    } satisfies FilePageJson;
  });

  router.get('/api/files/:id', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeFile(await files.get(ctx.params['id'] ?? '', ctx.state.owner), ctx.state.baseUrl);
  });

  router.patch('/api/files/:id', async (ctx) => {
    const { name }: { [K in keyof RenameJson]?: unknown } = await readJson(ctx);
    if (typeof name !== 'string') throw invalidField('name', 'name must be a text.');
    ctx.body = describeFile(await files.rename(ctx.params['id'] ?? '', ctx.state.owner, name), ctx.state.baseUrl);
  });

  router.delete('/api/files/:id', async (ctx) => {
    await files.remove(ctx.params['id'] ?? '', ctx.state.owner);
    ctx.status = 204;
  });
}
