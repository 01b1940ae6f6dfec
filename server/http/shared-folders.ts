/** Folders of links: one level at a time, by paths. Nobody is told an id; so a page begins after a name. */
import type { InFolder, LevelPlace, Links } from '../links/contract.ts';
import { invalidField, TidemarkError } from '../uploads/errors.ts';
import { pathProblem } from '../wire/labels.ts';
import type { SharedLevelJson } from '../wire/links.ts';
import { isoOf } from './links.ts';
import { numberParam, param } from './query.ts';
import { pathOfLink, ticketsOf } from './shared-cookies.ts';
import { type SharedPages, wantsPage } from './shared-pages.ts';
import { encodePath } from './shared-paths.ts';
import type { Ctx } from './state.ts';

/** The entries of one page. */
const LIMIT = 200;

/** The position in an address; 0, which nothing has, where it is none. */
export function positionOf(ctx: Ctx): number {
  const given = ctx.params['position'] ?? '';
  return /^[1-9]\d{0,5}$/.test(given) ? Number(given) : 0;
}

/** Where something in a folder is, from an address. @throws `not_found` for a path that nothing can have. */
export function inFolderOf(ctx: Ctx): InFolder {
  const path = ctx.params['path'] ?? '';
  if (pathProblem(path) !== undefined) throw new TidemarkError('not_found');
  return { position: positionOf(ctx), path };
}

/** Shows one level: as a page to browsers, as JSON to programs. */
export async function showLevel(ctx: Ctx, links: Links, pages: SharedPages): Promise<void> {
  const at = inFolderOf(ctx);
  const limit = numberParam(ctx, 'limit', LIMIT, 1, 1000);
  const secret = ctx.params['secret'] ?? '';
  const { link, level } = await links.openLevel(secret, at, { after: readAfter(ctx), limit }, ticketsOf(ctx));
  ctx.state.linkId = link.id;
  const base = ctx.state.baseUrl + pathOfLink(ctx);
  // Names begin with the folder of the link, which its position stands for in addresses.
  const addressOf = (kind: 'files' | 'folders', name: string): string =>
    `${base}/${kind}/${at.position}/${encodePath(name.slice(name.indexOf('/') + 1))}`;
  const here = `${base}/folders/${at.position}${at.path === '' ? '' : `/${encodePath(at.path)}`}`;
  const shared: SharedLevelJson = {
    name: level.name,
    expiresAt: isoOf(link.expiresAt),
    downloadsLeft: link.downloadsLeft,
    folders: level.folders.map((folder) => ({ ...folder, url: addressOf('folders', folder.name) })),
    files: level.files.map(({ name, file: { type, content } }) => ({
      name,
      size: content.size,
      md5: content.md5,
      type,
      url: addressOf('files', name),
    })),
    nextUrl: level.next === null ? null : `${here}?${nextQuery(level.next, ctx)}`,
  };
  ctx.set('Cache-Control', 'no-store');
  if (wantsPage(ctx)) pages.sendLevel(ctx, shared, at);
  else ctx.body = shared;
}

function nextQuery({ among, name }: LevelPlace, ctx: Ctx): string {
  const query = new URLSearchParams({ after: `${among}:${name}` });
  for (const kept of ['limit', 'lang']) {
    const value = param(ctx, kept);
    if (value) query.set(kept, value);
  }
  return query.toString();
}

/** @throws `invalid_field`. */
function readAfter(ctx: Ctx): LevelPlace | null {
  const given = param(ctx, 'after');
  if (given === undefined) return null;
  const [, among, name] = /^(folders|files):([^/]{1,255})$/su.exec(given) ?? [];
  if (name === undefined || (among !== 'folders' && among !== 'files'))
    throw invalidField('after', 'after must be folders: or files:, and a name, as in nextUrl.');
  return { among, name };
}
