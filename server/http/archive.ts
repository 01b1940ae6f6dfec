/** `/api/archive`: several files, or a folder, as one ZIP file. See docs/decisions/0062-archives.md. */
import type Router from '@koa/router';
import { ANYONE, type Config } from '../config/config.ts';
import { type Archive, type Archives, MOST_FOLDERS_ARCHIVED } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { cleanName } from '../wire/labels.ts';
import { lastPart } from '../wire/paths.ts';
import { present, presentationHeaders } from './disposition.ts';
import { ARCHIVE_PATH } from './file-addresses.ts';
import { folderParam, withoutSlash } from './labels.ts';
import { allParams, param, readBody, readJson } from './query.ts';
import { refusal, unauthorized } from './refusals.ts';
import { selectToSend, sendSelected } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

/** Room for 100,000 ids, in JSON or in a form, and a name. */
const MOST_BODY_BYTES = 5 * 1024 * 1024;
/** Bodies of which so many bytes are under way leave no room for another large one: each id takes some ten times its length. */
const MOST_UNDER_WAY_BYTES = 5 * MOST_BODY_BYTES;
/** A body of at most so many bytes is always taken: as few ids take no more memory than any other download. */
const SMALL_BYTES = 64 * 1024;
const RETRY_AFTER_S = '30';
/** The most fields of a form that are neither plain ids nor folders, and with the folders. */
const MOST_OTHERS = 100;
const MOST_FIELDS = MOST_FOLDERS_ARCHIVED + MOST_OTHERS;
const DEFAULT_NAME = 'files.zip';
const TYPE = 'application/zip';

/** What is asked for. */
interface Asked {
  ids: readonly string[];
  /** Paths: all below them. */
  folders: readonly string[];
  /** The folder from which names in the archive are counted; see `Archives`. */
  within: string | undefined;
  /** Of the archive. */
  name: string | undefined;
}

export function addArchiveRoutes(router: Router<RequestState>, parts: { config: Config; archives: Archives }): void {
  const { publicRead, tokens } = parts.config.access;

  async function prepare(ctx: Ctx, { ids, folders, within, name }: Asked): Promise<Archive> {
    if (folders.length === 0 && ids.length === 0) {
      throw invalidField('id', 'id is required: the ids of the files, one or more; or folder, the path of a folder.');
    }
    // With PUBLIC_READ the ids are enough, as for a file by its address; a path is the owner's own.
    const namesPath = folders.length > 0 || within !== undefined;
    if (namesPath && tokens.length > 0 && ctx.state.owner === ANYONE) throw unauthorized();
    const archive = namesPath
      ? await parts.archives.prepareOwn({ ids, folders, within }, ctx.state.owner)
      : await parts.archives.prepare(ids, publicRead ? null : ctx.state.owner, ctx.state.owner);
    const alone = folders.length === 1 && ids.length === 0 ? folders[0] : undefined;
    ctx.set({
      ...presentationHeaders(present(archiveName(name ?? alone), TYPE, true)),
      // Its files can be renamed and deleted: caches have to ask each time.
      'Cache-Control': 'private, no-cache',
      ETag: `"${archive.version}"`,
    });
    return archive;
  }

  router.get(ARCHIVE_PATH, async (ctx) => {
    const archive = await prepare(ctx, {
      ids: allParams(ctx, 'id'),
      folders: allParams(ctx, 'folder').map(withoutSlash),
      within: folderParam(ctx, 'within'),
      name: param(ctx, 'name'),
    });
    const { size, version } = archive;
    ctx.set('Accept-Ranges', 'bytes');
    const selection = selectToSend(ctx, { etag: `"${version}"`, size });
    if (selection) await sendSelected(ctx, size, selection, async (range) => archive.open(range));
  });

  let bytesUnderWay = 0;

  router.post(ARCHIVE_PATH, async (ctx) => {
    // Bodies without a length count as the longest.
    const bytes = Math.min(ctx.request.length ?? MOST_BODY_BYTES, MOST_BODY_BYTES);
    if (bytes > SMALL_BYTES && bytesUnderWay + bytes > MOST_UNDER_WAY_BYTES)
      throw refusal('too_many_connections', { headers: { 'Retry-After': RETRY_AFTER_S } });
    bytesUnderWay += bytes;
    try {
      const archive = await prepare(ctx, await readAsked(ctx));
      // Ranges and their conditions are defined for GET only (RFC 9110 section 14.2).
      ctx.set('Accept-Ranges', 'none');
      await sendSelected(ctx, archive.size, { kind: 'whole' }, async (range) => archive.open(range));
    } finally {
      bytesUnderWay -= bytes;
    }
  });
}

/** The archive's file name: the name that is asked for ends in `.zip`. */
export function archiveName(given: string | undefined): string {
  const name = cleanName(given ?? '');
  if (name === null) return DEFAULT_NAME;
  return lastPart(/\.zip$/i.test(name) ? name : (cleanName(`${name}.zip`) ?? DEFAULT_NAME));
}

/** Reads JSON, or a form as browsers send it. @throws `unsupported_media_type`, `too_large`, `invalid_request`, `invalid_field`. */
async function readAsked(ctx: Ctx): Promise<Asked> {
  if (ctx.request.is('urlencoded')) return readForm(await readBody(ctx.req, MOST_BODY_BYTES));
  if (!ctx.request.is('json')) {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: 'Content-Type must be application/json or application/x-www-form-urlencoded.',
    });
  }
  const { id = [], folder = [], within, name } = await readJson(ctx, MOST_BODY_BYTES);
  if (!isListOfTexts(id)) throw invalidField('id', 'id must be a list of ids, which are texts.');
  if (!isListOfTexts(folder))
    throw invalidField('folder', 'folder must be a list of paths of folders, which are texts.');
  if (within !== undefined && typeof within !== 'string') {
    throw invalidField('within', 'within must be a text: the path of a folder.');
  }
  if (name !== undefined && typeof name !== 'string') throw invalidField('name', 'name must be a text.');
  return {
    ids: id,
    folders: folder.map(withoutSlash),
    within: within === undefined ? undefined : withoutSlash(within),
    name,
  };
}

function isListOfTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** A form: `id` and `folder` any number of times, `within` and `name`. URLSearchParams takes half a second for 100,000 ids. */
function readForm(body: string): Asked {
  const ids: string[] = [];
  const others: string[] = [];
  for (const pair of body.split('&')) {
    const plainId = /^id=([\w-]*)$/.exec(pair)?.[1];
    if (plainId === undefined) others.push(pair);
    else ids.push(plainId);
  }
  const isTooMany = others.filter((pair) => !pair.startsWith('folder=')).length > MOST_OTHERS;
  if (isTooMany || others.length > MOST_FIELDS)
    throw refusal('invalid_request', { message: 'The form has too many fields that are no ids.' });
  const rest = new URLSearchParams(others.join('&'));
  const within = rest.get('within') ?? undefined;
  return {
    ids: [...ids, ...rest.getAll('id')],
    folders: rest.getAll('folder').map(withoutSlash),
    within: within === undefined ? undefined : withoutSlash(within),
    name: rest.get('name') ?? undefined,
  };
}
