/** `/api/archive`: several files, or a folder, as one ZIP file. See docs/decisions/0062-archives.md. */
import type Router from '@koa/router';
import { ANYONE, type Config } from '../config/config.ts';
import { type Archive, type Archives, MOST_ARCHIVED, MOST_FOLDERS_ARCHIVED } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { cleanName } from '../wire/labels.ts';
import { lastPart } from '../wire/paths.ts';
import type { ArchiveRoom } from './archive-room.ts';
import { present, presentationHeaders } from './disposition.ts';
import { ARCHIVE_PATH } from './file-addresses.ts';
import { folderParam, withoutSlash } from './labels.ts';
import { allParams, param, readBody, readJson } from './query.ts';
import { refusal, unauthorized } from './refusals.ts';
import { selectToSend, sendSelected } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

/** Room for 100,000 ids, in JSON or in a form, and a name. */
const MOST_BODY_BYTES = 5 * 1024 * 1024;
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

interface ArchiveParts {
  config: Config;
  archives: Archives;
  room: ArchiveRoom;
}

export function addArchiveRoutes(router: Router<RequestState>, parts: ArchiveParts): void {
  const { archives, room } = parts;

  /** Sends the archive, once there is room for the files in folders; the ids are counted by the caller. */
  async function answer(ctx: Ctx, asked: Asked, sendIt: (archive: Archive) => Promise<void>): Promise<void> {
    checkAsked(ctx, asked, parts.config);
    const below = asked.folders.length > 0 ? await archives.countBelow(asked.folders, ctx.state.owner) : 0;
    await room.hold(below, async () => sendIt(await prepare(ctx, asked, parts)));
  }

  router.get(ARCHIVE_PATH, (ctx) =>
    answer(
      ctx,
      {
        ids: allParams(ctx, 'id'),
        folders: allParams(ctx, 'folder').map(withoutSlash),
        within: folderParam(ctx, 'within'),
        name: param(ctx, 'name'),
      },
      async (archive) => {
        const { size, version } = archive;
        ctx.set('Accept-Ranges', 'bytes');
        const selection = selectToSend(ctx, { etag: `"${version}"`, size });
        if (selection) await sendSelected(ctx, size, selection, async (range) => archive.open(range));
      },
    ),
  );

  router.post(ARCHIVE_PATH, (ctx) => {
    // Bodies without a length count as the longest, which has as many ids as an archive has files.
    const share = Math.min(ctx.request.length ?? MOST_BODY_BYTES, MOST_BODY_BYTES) / MOST_BODY_BYTES;
    return room.hold(share * MOST_ARCHIVED, async () =>
      answer(ctx, await readAsked(ctx), async (archive) => {
        // Ranges and their conditions are defined for GET only (RFC 9110 section 14.2).
        ctx.set('Accept-Ranges', 'none');
        await sendSelected(ctx, archive.size, { kind: 'whole' }, async (range) => archive.open(range));
      }),
    );
  });
}

/** Whether anything is asked for by its path, which is the owner's own. */
function namesPath({ folders, within }: Asked): boolean {
  return folders.length > 0 || within !== undefined;
}

/** @throws `invalid_field`, `unauthorized`. */
function checkAsked(ctx: Ctx, asked: Asked, { access }: Config): void {
  if (asked.folders.length === 0 && asked.ids.length === 0)
    throw invalidField('id', 'id is required: the ids of the files, one or more; or folder, the path of a folder.');
  // With PUBLIC_READ the ids are enough, as for a file by its address.
  if (namesPath(asked) && access.tokens.length > 0 && ctx.state.owner === ANYONE) throw unauthorized();
}

async function prepare(ctx: Ctx, asked: Asked, { config, archives }: ArchiveParts): Promise<Archive> {
  const { ids, folders, name } = asked;
  const { owner } = ctx.state;
  const archive = namesPath(asked)
    ? await archives.prepareOwn(asked, owner)
    : await archives.prepare(ids, config.access.publicRead ? null : owner, owner);
  const alone = folders.length === 1 && ids.length === 0 ? folders[0] : undefined;
  ctx.set({
    ...presentationHeaders(present(archiveName(name ?? alone), TYPE, true)),
    // Its files can be renamed and deleted: caches have to ask each time.
    'Cache-Control': 'private, no-cache',
    ETag: `"${archive.version}"`,
  });
  return archive;
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
