/** The catalog over HTTP: list, look at, rename and delete files. */
import type Router from '@koa/router';
import type { Links } from '../links/contract.ts';
import type { FileViewPage, Files, FolderRecord, Folders } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkCharacters, MAX_SEARCH_BYTES } from '../uploads/names.ts';
import type { Trash } from '../uploads/trash-contract.ts';
import type { FilePageJson, FileSortJson, NamesJson, RenameJson, TakenJson } from '../wire/files.ts';
import { describeFile, describeFolder } from './file-json.ts';
import { folderParam } from './labels.ts';
import { choiceParam, numberParam, param, readJson } from './query.ts';
import type { Ctx, RequestState } from './state.ts';

/** Room for a thousand names, unless most of them are very long. */
const MOST_NAMES_BYTES = 256 * 1024;
const SORTS: readonly FileSortJson[] = ['uploaded', 'name', 'size'];

export function addFileRoutes(
  router: Router<RequestState>,
  {
    files,
    folders,
    links,
    trash,
  }: { files: Files; folders: Folders; links: Pick<Links, 'sendersOf'>; trash: Pick<Trash, 'totalOf'> },
): void {
  router.get('/api/files', async (ctx) => {
    const page = await listAsked(ctx, files, folders);
    const senders = await links.sendersOf(page.files.map(({ id }) => id));
    const total = await files.totalOf(ctx.state.owner);
    const trashed = await trash.totalOf(ctx.state.owner);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      ...(page.folders ? { folders: page.folders.map(describeFolder) } : {}),
      files: page.files.map((file) => describeFile(file, ctx.state.baseUrl, senders.get(file.id))),
      nextCursor: page.nextCursor,
      total: trashed.files > 0 ? { ...total, trash: trashed } : total,
    } satisfies FilePageJson;
  });

  router.post('/api/names/taken', async (ctx) => {
    const { names }: { [K in keyof NamesJson]?: unknown } = await readJson(ctx, MOST_NAMES_BYTES);
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
      throw invalidField('names', 'names must be a list of names of files, which are texts.');
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { taken: await files.findNamed(names, ctx.state.owner) } satisfies TakenJson;
  });

  router.get('/api/files/:id', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const file = await files.get(ctx.params['id'] ?? '', ctx.state.owner);
    const senders = await links.sendersOf([file.id]);
    ctx.body = describeFile(file, ctx.state.baseUrl, senders.get(file.id));
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

/** The page that a query asks for: of all files, of one level, or of all that is below a folder. */
async function listAsked(
  ctx: Ctx,
  files: Files,
  folders: Folders,
): Promise<FileViewPage & { folders?: readonly FolderRecord[] }> {
  const search = readSearch(ctx);
  const cursor = param(ctx, 'cursor');
  const common = {
    owner: ctx.state.owner,
    limit: numberParam(ctx, 'limit', 100, 1, 1000),
    ...(cursor ? { cursor } : {}),
  };
  const folder = folderParam(ctx, 'prefix');
  const isRecursive = choiceParam(ctx, 'recursive', ['true', 'false'], 'false') === 'true';
  if (folder !== undefined && search) {
    throw invalidField('search', 'search looks at all files: leave out prefix.');
  }
  if (isRecursive) return listBelow(ctx, folders, { ...common, folder });
  const sort = choiceParam(ctx, 'sort', SORTS, 'uploaded');
  const descending = choiceParam(ctx, 'order', ['asc', 'desc'], sort === 'name' ? 'asc' : 'desc') === 'desc';
  const query = { ...common, sort, descending };
  return folder === undefined
    ? files.list({ ...query, ...(search ? { search } : {}) })
    : folders.list({ ...query, folder });
}

function listBelow(
  ctx: Ctx,
  folders: Folders,
  { folder, ...query }: { owner: string; limit: number; cursor?: string; folder: string | undefined },
): Promise<FileViewPage> {
  if (folder === undefined) {
    throw invalidField('prefix', 'prefix is required with recursive: the path of a folder, or empty for all.');
  }
  for (const name of ['sort', 'order']) {
    if (param(ctx, name))
      throw invalidField(name, `With recursive the files come folder by folder: leave out ${name}.`);
  }
  return folders.listBelow({ ...query, folder });
}

function readSearch(ctx: Ctx): string {
  const search = param(ctx, 'search') ?? '';
  checkCharacters(search, 'search');
  // The database accepts only patterns of limited length, and a search scans all names of the owner.
  if (Buffer.byteLength(search) > MAX_SEARCH_BYTES) {
    throw invalidField('search', `search must be at most ${MAX_SEARCH_BYTES} bytes long in UTF-8.`);
  }
  return search;
}
