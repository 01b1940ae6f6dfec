/**
 * The routes of the two older services, with their answers. GET /file/upload is the page (app.ts). `filehash` is an MD5, SHA-1
 * or SHA-256.
 */
import type Router from '@koa/router';
import type { Files, FileView, Uploads } from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkPlainName, parseContentName } from '../uploads/names.ts';
import { filePath } from '../wire/addresses.ts';
import { lastPart } from '../wire/paths.ts';
import { receiveFile } from './form-upload.ts';
import { formParams, numberParam } from './query.ts';
import { refusal } from './refusals.ts';
import { sendFile } from './send-file.ts';
import type { Ctx, RequestState } from './state.ts';

interface FileMeta {
  FileSha1: string;
  FileMd5: string;
  FileName: string;
  FileSize: number;
  Location: string;
  /** `YYYY-MM-DD hh:mm:ss`, local time. */
  UploadAt: string;
}

export function addOlderRoutes(
  routers: Record<'uploads' | 'files' | 'api', Router<RequestState>>,
  { files, uploads }: { files: Files; uploads: Uploads },
): void {
  const { api } = routers;

  routers.uploads.post('/file/upload', async (ctx) => {
    await receiveFile(ctx, uploads, { md5: null });
    ctx.status = 302;
    ctx.set('Location', `${new URL(ctx.state.baseUrl).pathname.replace(/\/$/, '')}/file/upload/suc`);
    ctx.body = 'Upload finished!';
  });

  routers.uploads.get('/file/upload/suc', (ctx) => {
    ctx.body = 'Upload finished!';
  });

  api.get('/file/meta', async (ctx) => {
    ctx.body = describeMeta(await find(ctx), ctx.state.baseUrl);
  });

  api.get('/file/query', async (ctx) => {
    const page = await files.list({
      owner: ctx.state.owner,
      limit: numberParam(ctx, 'limit', 100, 1, 1000),
      sort: 'uploaded',
      descending: true,
    });
    ctx.body = page.files.map((file) => describeMeta(file, ctx.state.baseUrl));
  });

  routers.files.get('/file/download', async (ctx) => {
    await sendFile(ctx, files, await find(ctx), { save: true, shared: false });
  });

  api.post('/file/update', async (ctx) => {
    const read = await formParams(ctx);
    if (read('op') !== '0') {
      throw refusal('forbidden_operation', { field: 'op', message: 'op must be 0, which renames.' });
    }
    const file = await findByHash(read('filehash'), ctx.state.owner);
    const name = checkPlainName(read('filename') ?? '', 'filename');
    // This API knows no folders: the file stays in its own.
    const path = file.name.slice(0, file.name.length - lastPart(file.name).length) + name;
    ctx.body = describeMeta(await files.rename(file.id, ctx.state.owner, path), ctx.state.baseUrl);
  });

  for (const method of ['post', 'delete'] as const) {
    api[method]('/file/delete', async (ctx) => {
      const read = await formParams(ctx);
      const file = await findByHash(read('filehash'), ctx.state.owner);
      await files.remove(file.id, ctx.state.owner);
      ctx.status = 200;
      ctx.body = { status: 'ok' };
    });
  }

  async function find(ctx: Ctx): Promise<FileView> {
    return findByHash((await formParams(ctx))('filehash'), ctx.state.owner);
  }

  async function findByHash(filehash: string | undefined, owner: string): Promise<FileView> {
    const name = parseContentName(filehash ?? '');
    if (!name) {
      throw invalidField('filehash', 'filehash must be an MD5, SHA-1 or SHA-256 in hexadecimal digits.');
    }
    // A hash is what the client has computed. Unlike an address, it does not say which of several contents with one MD5 is meant.
    const given = { ...name, variant: name.variant === 0 ? null : name.variant };
    // The older services kept one file for each digest: the latest.
    return files.find(given, owner, 'latest');
  }
}

function describeMeta(file: FileView, baseUrl: string): FileMeta {
  return {
    FileSha1: file.content.sha1 ?? '',
    FileMd5: file.content.md5,
    FileName: lastPart(file.name),
    FileSize: file.content.size,
    Location: baseUrl + filePath(file),
    UploadAt: localTime(new Date(file.uploadedAt)),
  };
}

function localTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
