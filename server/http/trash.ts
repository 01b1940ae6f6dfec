/** The trash over HTTP: listed, restored, deleted for good. See docs/decisions/0069-trash.md. */
import type Router from '@koa/router';
import { invalidField } from '../uploads/errors.ts';
import type { Progress, Trash, TrashedView, TrashMeant } from '../uploads/trash-contract.ts';
import type { RestoredJson, RestoreJson, TrashedJson, TrashPageJson, TrashProgressJson } from '../wire/trash.ts';
import { describeFile } from './file-json.ts';
import { allParams, choiceParam, numberParam, param, readJson } from './query.ts';
import type { Ctx, RequestState } from './state.ts';
import { whileHeard } from './while-heard.ts';

const PATH = '/api/trash';
/** Room for a thousand ids. */
const MOST_BODY_BYTES = 64 * 1024;

/** Adds `/api/trash`. */
export function addTrashRoutes(router: Router<RequestState>, trash: Trash): void {
  router.get(PATH, async (ctx) => {
    const { owner } = ctx.state;
    const cursor = param(ctx, 'cursor');
    const limit = numberParam(ctx, 'limit', 100, 1, 1000);
    const { files, nextCursor } = await trash.list({ owner, limit, ...(cursor ? { cursor } : {}) });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      files: files.map(describeTrashed),
      nextCursor,
      total: await trash.totalOf(owner),
      keptSeconds: Math.floor(trash.keptMs / 1000),
    } satisfies TrashPageJson;
  });

  router.post(`${PATH}/restore`, async (ctx) => {
    const meant = readMeant(await readJson(ctx, MOST_BODY_BYTES));
    const answer = await whileHeard(ctx, 'a restoration', (signal) => trash.restore(ctx.state.owner, meant, signal));
    if (!answer) {
      ctx.respond = false;
      return;
    }
    const { restored, ...done } = answer;
    ctx.set('Cache-Control', 'no-store');
    const { baseUrl } = ctx.state;
    const shown = restored ? { restored: restored.map((file) => describeFile(file, baseUrl)) } : {};
    ctx.body = { ...describeProgress(done), ...shown } satisfies RestoredJson;
  });

  router.delete(PATH, async (ctx) => {
    const meant = meantInQuery(ctx);
    const done = await whileHeard(ctx, 'a deletion for good', (signal) => trash.remove(ctx.state.owner, meant, signal));
    if (done) ctx.body = describeProgress(done);
    else ctx.respond = false;
  });
}

function describeProgress({ files, bytes, isComplete, until }: Progress): TrashProgressJson {
  return {
    files,
    bytes,
    complete: isComplete,
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
  };
}

function describeTrashed({ id, name, type, content, ...trashed }: TrashedView): TrashedJson {
  const { size, md5 } = content;
  const { uploadedAt, deletedAt, expiresAt, deletion } = trashed;
  return {
    id,
    name,
    size,
    md5,
    type,
    uploadedAt: new Date(uploadedAt).toISOString(),
    deletedAt: new Date(deletedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    ...(deletion ? { deletion } : {}),
  };
}

/** What is to be restored. @throws `invalid_field`. */
function readMeant({ files, deletion }: { [K in keyof RestoreJson]?: unknown }): TrashMeant {
  if (files !== undefined && deletion !== undefined)
    throw invalidField('deletion', 'files and deletion do not go together: one of them is enough.');
  if (deletion !== undefined) {
    if (typeof deletion !== 'string' || deletion === '')
      throw invalidField('deletion', 'deletion must be the id of a deletion, which is a text.');
    return { deletion };
  }
  if (!Array.isArray(files) || !files.every((one) => typeof one === 'string' && one !== ''))
    throw invalidField('files', 'files must be a list of ids of files, which are texts; or give a deletion.');
  return { ids: files as string[] };
}

/** What is to be deleted for good: a request that has lost its query must not empty the trash. @throws `invalid_field`. */
function meantInQuery(ctx: Ctx): TrashMeant {
  const ids = allParams(ctx, 'id');
  const deletion = param(ctx, 'deletion');
  const isAll = choiceParam(ctx, 'all', ['true', 'false'], 'false') === 'true';
  if (Number(ids.length > 0) + Number(deletion !== undefined) + Number(isAll) > 1)
    throw invalidField('id', 'id, deletion and all do not go together: one of them is enough.');
  if (isAll) return { all: true, ...readUntil(ctx) };
  if (deletion) return { deletion };
  if (ids.length === 0 || ids.includes(''))
    throw invalidField(
      'id',
      'id is required: the ids of files in the trash; or deletion; or all=true, for all of them.',
    );
  return { ids };
}

/** @throws `invalid_field`. */
function readUntil(ctx: Ctx): { until?: number } {
  const given = param(ctx, 'until');
  if (given === undefined || given === '') return {};
  const until = MOMENT.test(given) ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(until))
    throw invalidField('until', 'until must be a moment as answers have it, such as 2030-01-31T12:00:00.000Z.');
  return { until };
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
