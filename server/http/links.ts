/** Links for their owners: made, listed, changed, revoked. shared.ts opens them. See docs/decisions/0065-download-links.md. */
import type Router from '@koa/router';
import type { Links, LinkUpdate, LinkView } from '../links/contract.ts';
import type { CatalogClock } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { sharedPath } from '../wire/addresses.ts';
import type { CreatedLinkJson, LinkJson, LinkPageJson, NewLinkJson } from '../wire/links.ts';
import { withoutSlash } from './labels.ts';
import { numberParam, param, readJson } from './query.ts';
import type { RequestState } from './state.ts';

/** Room for a thousand ids, or paths that are no longer than most, a name and a password. */
const MOST_BODY_BYTES = 64 * 1024;
/** Ten years: whoever wants more wants a link that does not expire. */
const MOST_LIFE_S = 10 * 365 * 24 * 3600;
const MOST_DOWNLOADS = 1_000_000;

type Given = { [K in keyof NewLinkJson]?: unknown };

/** Adds `/api/links`. */
export function addLinkRoutes(
  router: Router<RequestState>,
  { links, clock }: { links: Links; clock: Pick<CatalogClock, 'latest'> },
): void {
  router.post('/api/links', async (ctx) => {
    const given: Given = await readJson(ctx, MOST_BODY_BYTES);
    const { link, secret } = await links.create({
      owner: ctx.state.owner,
      files: readTexts(given, 'files', 'ids of files'),
      folders: readTexts(given, 'folders', 'paths of folders').map(withoutSlash),
      name: readText(given, 'name') ?? null,
      password: readText(given, 'password') ?? null,
      mostDownloads: readDownloads(given) ?? null,
      lifeMs: readLife(given, clock) ?? null,
    });
    ctx.state.linkId = link.id;
    ctx.status = 201;
    // The only answer with the secret.
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { ...describeLink(link), url: ctx.state.baseUrl + sharedPath(secret) } satisfies CreatedLinkJson;
  });

  router.get('/api/links', async (ctx) => {
    const cursor = param(ctx, 'cursor');
    const page = await links.list({
      owner: ctx.state.owner,
      limit: numberParam(ctx, 'limit', 100, 1, 1000),
      ...(cursor ? { cursor } : {}),
    });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { links: page.links.map(describeLink), nextCursor: page.nextCursor } satisfies LinkPageJson;
  });

  router.patch('/api/links/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    const update = readUpdate(await readJson(ctx), clock);
    ctx.state.linkId = id;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeLink(await links.change(id, ctx.state.owner, update));
  });

  router.delete('/api/links/:id', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    ctx.state.linkId = id;
    await links.revoke(id, ctx.state.owner);
    ctx.status = 204;
  });
}

function describeLink(link: LinkView): LinkJson {
  const { id, state, name, files, folders, firstName, firstFolder } = link;
  const { expiresAt, hasPassword, downloads, mostDownloads, lastUsedAt } = link;
  return {
    id,
    kind: 'download',
    state,
    name,
    files,
    folders,
    firstFile: firstName,
    firstFolder,
    createdAt: new Date(link.createdAt).toISOString(),
    expiresAt: isoOf(expiresAt),
    hasPassword,
    downloads,
    mostDownloads,
    lastUsedAt: isoOf(lastUsedAt),
  };
}

/** A moment as JSON has it. */
export function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** What is to be changed. @throws `invalid_field`, also where nothing is. */
function readUpdate(given: Given, clock: Pick<CatalogClock, 'latest'>): LinkUpdate {
  const [name, lifeMs, mostDownloads] = [readText(given, 'name'), readLife(given, clock), readDownloads(given)];
  if (name === null) throw invalidField('name', 'name must be a text.');
  if (given.password !== undefined)
    throw invalidField('password', 'password cannot be changed: make another link, and revoke this one.');
  for (const field of ['files', 'folders'] as const) {
    if (given[field] !== undefined)
      throw invalidField(field, `${field} cannot be changed: make another link, and revoke this one.`);
  }
  if (name === undefined && lifeMs === undefined && mostDownloads === undefined)
    throw invalidField('name', 'The body must have name, expiresIn, expiresAt or downloads.');
  return {
    ...(name === undefined ? {} : { name }),
    ...(lifeMs === undefined ? {} : { lifeMs }),
    ...(mostDownloads === undefined ? {} : { mostDownloads }),
  };
}

function readTexts(given: Given, field: 'files' | 'folders', what: string): string[] {
  const value = given[field];
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string' && one !== ''))
    throw invalidField(field, `${field} must be a list of ${what}, which are texts.`);
  return value as string[];
}

function readText(given: Given, field: 'name' | 'password'): string | null | undefined {
  const value = given[field];
  if (value === undefined || value === null || typeof value === 'string') return value;
  throw invalidField(field, `${field} must be a text.`);
}

function readDownloads({ downloads: given }: Given): number | null | undefined {
  if (given === undefined || given === null) return given;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 1 || given > MOST_DOWNLOADS)
    throw invalidField('downloads', `downloads must be a whole number from 1 to ${MOST_DOWNLOADS}.`);
  return given;
}

/** How long the link lives from now on; null: it does not expire; undefined: nothing is said of it. */
function readLife({ expiresIn, expiresAt }: Given, clock: Pick<CatalogClock, 'latest'>): number | null | undefined {
  if (expiresIn !== undefined && expiresAt !== undefined)
    throw invalidField('expiresAt', 'expiresAt and expiresIn do not go together: one of them is enough.');
  if (expiresIn === undefined && expiresAt === undefined) return undefined;
  if (expiresIn === null || expiresAt === null) return null;
  if (expiresIn !== undefined) {
    if (typeof expiresIn !== 'number' || !Number.isInteger(expiresIn) || expiresIn < 1 || expiresIn > MOST_LIFE_S)
      throw invalidField('expiresIn', `expiresIn must be a whole number of seconds from 1 to ${MOST_LIFE_S}.`);
    return expiresIn * 1000;
  }
  const at = typeof expiresAt === 'string' && ISO.test(expiresAt) ? Date.parse(expiresAt) : Number.NaN;
  const lifeMs = at - clock.latest();
  if (!(lifeMs > 0 && lifeMs <= MOST_LIFE_S * 1000)) {
    throw invalidField(
      'expiresAt',
      'expiresAt must be a moment that is still to come, within ten years, as in 2030-01-31T12:00:00Z.',
    );
  }
  return Math.ceil(lifeMs);
}

/** With an offset: without one, a moment would be the server's own time. */
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;
