/** Links for their owners: made, listed, changed, revoked. shared.ts opens them. See docs/decisions/0065-download-links.md. */
import type Router from '@koa/router';
import type {
  LinkKind,
  Links,
  LinkUpdate,
  LinkView,
  SentUpload,
  UploadLimits,
  UploadTerms,
} from '../links/contract.ts';
import type { CatalogClock, Uploads } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { sharedPath } from '../wire/addresses.ts';
import type {
  CreatedLinkJson,
  LinkJson,
  LinkPageJson,
  NewLinkJson,
  NewUploadLinkJson,
  SentPageJson,
  SentUploadJson,
} from '../wire/links.ts';
import { withoutSlash } from './labels.ts';
import { numberParam, param, readJson } from './query.ts';
import type { RequestState } from './state.ts';

/** Room for a thousand ids, or paths that are no longer than most, a name and a password. */
const MOST_BODY_BYTES = 64 * 1024;
/** Ten years: whoever wants more wants a link that does not expire. */
const MOST_LIFE_S = 10 * 365 * 24 * 3600;
const MOST_DOWNLOADS = 1_000_000;

type Given = { [K in keyof NewLinkJson | keyof NewUploadLinkJson]?: unknown };

interface LinkParts {
  links: Links;
  uploads: Uploads;
  clock: Pick<CatalogClock, 'latest'>;
  stopping: AbortSignal;
}

/** Adds `/api/links`. */
export function addLinkRoutes(router: Router<RequestState>, { links, uploads, clock, stopping }: LinkParts): void {
  router.post('/api/links', async (ctx) => {
    const given: Given = await readJson(ctx, MOST_BODY_BYTES);
    const upload = readKind(given) === 'upload' ? readTerms(given) : undefined;
    const { link, secret } = await links.create({
      owner: ctx.state.owner,
      files: upload ? [] : readTexts(given, 'files', 'ids of files'),
      folders: upload ? [] : readTexts(given, 'folders', 'paths of folders').map(withoutSlash),
      ...(upload ? { upload } : {}),
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
    // The answer does not wait until running requests have stopped: they take no more bytes in any case.
    void links.endSent(id, uploads, stopping);
    ctx.status = 204;
  });

  router.get('/api/links/:id/uploads', async (ctx) => {
    const id = ctx.params['id'] ?? '';
    const cursor = param(ctx, 'cursor');
    const page = await links.listSent(id, ctx.state.owner, {
      limit: numberParam(ctx, 'limit', 100, 1, 1000),
      ...(cursor ? { cursor } : {}),
    });
    ctx.state.linkId = id;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { uploads: page.uploads.map(describeSent), nextCursor: page.nextCursor } satisfies SentPageJson;
  });
}

function describeLink(link: LinkView): LinkJson {
  const { id, state, name, files, folders, firstName, firstFolder, hasPassword, downloads, mostDownloads, upload } =
    link;
  const about = {
    id,
    state,
    name,
    createdAt: new Date(link.createdAt).toISOString(),
    expiresAt: isoOf(link.expiresAt),
    hasPassword,
    lastUsedAt: isoOf(link.lastUsedAt),
  };
  if (!upload) {
    const first = { firstFile: firstName, firstFolder };
    return { ...about, kind: 'download', files, folders, ...first, downloads, mostDownloads };
  }
  const { folder, mostBytes, mostFiles, mostFileBytes, types, sentFiles, sentBytes } = upload;
  const limits = { maxBytes: mostBytes, maxFiles: mostFiles, maxFileBytes: mostFileBytes, types: types && [...types] };
  return { ...about, kind: 'upload', folder, files: sentFiles, bytes: sentBytes, ...limits };
}

function describeSent(upload: SentUpload): SentUploadJson {
  const { id, state, filename, size, offset, sender, note, createdAt, fileId } = upload;
  const at = new Date(createdAt).toISOString();
  return { id, state, name: filename, size, offset, sender, note, createdAt: at, fileId };
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
  for (const field of ['files', 'folders', 'folder', 'types', 'kind'] as const) {
    if (given[field] !== undefined)
      throw invalidField(field, `${field} cannot be changed: make another link, and revoke this one.`);
  }
  const limits = readLimits(given);
  const hasLimits = Object.keys(limits).length > 0;
  if (name === undefined && lifeMs === undefined && mostDownloads === undefined && !hasLimits) {
    throw invalidField(
      'name',
      'The body must have name, expiresIn, expiresAt, downloads, maxBytes, maxFiles or maxFileBytes.',
    );
  }
  return {
    ...(hasLimits ? { limits } : {}),
    ...(name === undefined ? {} : { name }),
    ...(lifeMs === undefined ? {} : { lifeMs }),
    ...(mostDownloads === undefined ? {} : { mostDownloads }),
  };
}

function readKind({ kind = 'download' }: Given): LinkKind {
  if (kind === 'download' || kind === 'upload') return kind;
  throw invalidField('kind', 'kind must be download or upload.');
}

function readTerms(given: Given): UploadTerms {
  const { folder, types = null } = given;
  for (const field of ['files', 'folders', 'downloads'] as const) {
    if (given[field] !== undefined) throw invalidField(field, `${field} goes with a link for downloads.`);
  }
  if (typeof folder !== 'string') throw invalidField('folder', 'folder must be the path of a folder.');
  if (types !== null && !(Array.isArray(types) && types.every((type) => typeof type === 'string')))
    throw invalidField('types', 'types must be a list of texts.');
  return { mostBytes: null, mostFiles: null, mostFileBytes: null, ...readLimits(given), folder, types };
}

const LIMITS = [
  ['maxBytes', 'mostBytes'],
  ['maxFiles', 'mostFiles'],
  ['maxFileBytes', 'mostFileBytes'],
] as const;

/** The limits that are given; null: none. */
function readLimits(given: Given): Partial<UploadLimits> {
  const found: Partial<UploadLimits> = {};
  for (const [field, name] of LIMITS) {
    const value = given[field];
    if (value === undefined) continue;
    if (value !== null && !(typeof value === 'number' && Number.isSafeInteger(value) && value >= 1))
      throw invalidField(field, `${field} must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or null.`);
    found[name] = value;
  }
  return found;
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
