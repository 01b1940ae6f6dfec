/** Folders over HTTP: every way that bytes come brings them into their folders, and what the API does with folders. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type Answer, send, TUS } from '../harness/tus.ts';
import { readZip, ZIP_READERS } from '../harness/zip-readers.ts';
import { json, multipart, putFile } from './support.ts';

interface Listed {
  id: string;
  name: string;
  md5: string;
}

interface Page {
  folders?: { name: string; files: number; bytes: number }[];
  files: Listed[];
  nextCursor: string | null;
  total: { files: number; bytes: number };
}

let seed = 6_300;

describeOverCatalogs((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  const fresh = (): Buffer => makeBytes(40, (seed += 1));

  /** Contents that no file has are gone from the store. */
  async function expectNothingLeft(): Promise<void> {
    const { files } = await list({ limit: '1000' });
    expect(await service.contents()).toHaveLength(new Set(files.map((file) => file.md5)).size);
  }

  async function list(query: Record<string, string>): Promise<Page> {
    const answer = await send('GET', `${service.url}/api/files?${new URLSearchParams(query).toString()}`);
    expect(answer.status, answer.body).toBe(200);
    return json<Page>(answer);
  }

  async function below(prefix: string): Promise<string[]> {
    const names: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page = await list({ prefix, recursive: 'true', limit: '2', ...(cursor ? { cursor } : {}) });
      expect(page.folders).toBeUndefined();
      names.push(...page.files.map(({ name }) => name));
      cursor = page.nextCursor;
    }
    return names;
  }

  function onFolder(method: string, path: string, body?: unknown): Promise<Answer> {
    const query = new URLSearchParams({ path }).toString();
    const headers = { 'Content-Type': 'application/json' };
    const options = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    return send(method, `${service.url}/api/folders?${query}`, options);
  }

  function taken(body: unknown): Promise<Answer> {
    const headers = { 'Content-Type': 'application/json' };
    return send('POST', `${service.url}/api/names/taken`, { headers, body: JSON.stringify(body) });
  }

  test('which names are taken, and by what, is asked for many at a time', async () => {
    const [one, two] = [fresh(), fresh()];
    await putFile(service.url, one, { filename: 't/one.txt' });
    await putFile(service.url, two, { filename: 't/u/two.txt' });
    const answer = await taken({ names: ['t/one.txt', 't/u/two.txt', 't/two.txt', 'one.txt', 't/u'] });
    expect(answer.headers['cache-control']).toBe('no-store');
    const { taken: found } = json<{ taken: Listed[] }>(answer);
    expect(found.toSorted((a, b) => a.name.length - b.name.length)).toEqual([
      { name: 't/one.txt', size: one.length, md5: md5(one) },
      { name: 't/u/two.txt', size: two.length, md5: md5(two) },
    ]);
    expect(json(await taken({ names: [] }))).toEqual({ taken: [] });
    await onFolder('DELETE', 't');
  });

  test('each way that bytes come keeps both of one name, or replaces one; the answer says which', async () => {
    const form = (bytes: Buffer, query: string) =>
      send('POST', `${service.url}/upload?${query}`, {
        headers: { 'Content-Type': 'multipart/form-data; boundary=edge' },
        body: multipart('edge', [['Content-Disposition: form-data; name="file"; filename="w/same.txt"', bytes]]),
      });
    const ways: ((bytes: Buffer, onconflict: Record<string, string>) => Promise<Answer>)[] = [
      (bytes, onconflict) =>
        putFile(service.url, bytes, { filename: 'w/same.txt', ...onconflict }).then(({ fileId }) =>
          send('GET', `${service.url}/api/files/${fileId}`),
        ),
      (bytes, onconflict) => form(bytes, new URLSearchParams(onconflict).toString()),
      (bytes, onconflict) =>
        send(
          'POST',
          `${service.url}/api/files?${new URLSearchParams({ name: 'w/same.txt', ...onconflict }).toString()}`,
          {
            body: bytes,
          },
        ),
      async (bytes, onconflict) => {
        await putFile(service.url, bytes, { filename: `before-${md5(bytes)}` });
        const query = { md5: md5(bytes), sha256: sha256(bytes), filename: 'w/same.txt', ...onconflict };
        const headers = { 'X-Requested-With': 'a test' };
        return send('GET', `${service.url}/check?${new URLSearchParams(query).toString()}`, { headers });
      },
    ];
    const told = (answer: Answer): string => {
      const body = json<{ name?: string; file?: Listed }>(answer);
      return body.file?.name ?? body.name ?? '';
    };
    for (const way of ways) {
      const [first, second, third] = [fresh(), fresh(), fresh()];
      expect(told(await way(first, {}))).toBe('w/same.txt');
      expect(told(await way(second, { onconflict: 'rename' }))).toBe('w/same (2).txt');
      // The same once more, as after an answer that was lost.
      expect(told(await way(second, {}))).toBe('w/same (2).txt');
      // It has the name with a number, and is to have the name itself.
      expect(told(await way(second, { onconflict: 'replace' }))).toBe('w/same.txt');
      expect(told(await way(third, { onconflict: 'replace' }))).toBe('w/same.txt');
      const { files } = await list({ prefix: 'w', sort: 'name' });
      expect(Object.fromEntries(files.map((file) => [file.name, file.md5]))).toEqual({
        'w/same (2).txt': md5(second),
        'w/same.txt': md5(third),
      });
      await expectNothingLeft();
      expect((await onFolder('DELETE', 'w')).status).toBe(200);
    }
    const refused = await form(fresh(), 'onconflict=ask');
    expect([refused.status, json<{ error: object }>(refused).error]).toEqual([
      400,
      { code: 'invalid_field', field: 'onconflict', message: 'onconflict must be one of rename, replace.' },
    ]);
    // A label never stops bytes.
    await putFile(service.url, fresh(), { filename: 'w/label', onconflict: 'ask' });
  });

  test('an upload of several requests replaces a file with its last byte', async () => {
    const old = fresh();
    await putFile(service.url, old, { filename: 'r/file' });
    const bytes = fresh();
    const metadata = `filename ${Buffer.from('r/file').toString('base64')},onconflict ${Buffer.from('replace').toString('base64')}`;
    const created = await send('POST', `${service.url}/uploads`, {
      headers: { ...TUS, 'Upload-Length': String(bytes.length), 'Upload-Metadata': metadata },
    });
    const location = created.headers.location ?? '';
    const patching = { ...TUS, 'Content-Type': 'application/offset+octet-stream' };
    await send('PATCH', location, { headers: { ...patching, 'Upload-Offset': '0' }, body: bytes.subarray(0, 7) });
    const done = await send('PATCH', location, {
      headers: { ...patching, 'Upload-Offset': '7' },
      body: bytes.subarray(7),
    });
    expect([done.status, done.headers['tidemark-file-name']]).toEqual([204, 'r%2Ffile']);
    expect((await list({ prefix: 'r' })).files).toMatchObject([{ name: 'r/file', md5: md5(bytes) }]);
  });

  test('one level or all of it, a move, and its deletion; the bytes go, too', async () => {
    const files = { 'p/2024/jan/1.txt': fresh(), 'p/2024/2.txt': fresh(), 'p/3.txt': fresh() };
    for (const [filename, bytes] of Object.entries(files)) await putFile(service.url, bytes, { filename });
    const page = await list({ prefix: 'p/' });
    expect(page.folders).toEqual([{ name: 'p/2024', files: 2, bytes: 80 }]);
    expect(page.files.map(({ name }) => name)).toEqual(['p/3.txt']);
    expect((await list({ prefix: '' })).folders).toContainEqual({ name: 'p', files: 3, bytes: 120 });
    expect((await list({})).folders).toBeUndefined();
    expect(await below('p')).toEqual(['p/3.txt', 'p/2024/2.txt', 'p/2024/jan/1.txt']);

    const moved = await onFolder('PATCH', 'p/2024', { path: 'q/r' });
    expect([moved.status, json(moved)]).toEqual([200, { name: 'q/r', files: 2, bytes: 80 }]);
    expect(await below('q')).toEqual(['q/r/2.txt', 'q/r/jan/1.txt']);
    // What a download is called is the last part.
    const [id] = (await list({ prefix: 'q/r' })).files.map((file) => file.id);
    const download = await send('GET', `${service.url}/api/files/${id}/content?download`);
    expect(download.headers['content-disposition']).toBe('attachment; filename="2.txt"');
    const renamed = await send('PATCH', `${service.url}/api/files/${id}`, {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'p/four.txt' }),
    });
    expect(json(renamed)).toMatchObject({ name: 'p/four.txt' });
    const older = await send(
      'POST',
      `${service.url}/file/update?op=0&filehash=${md5(files['p/2024/2.txt'])}&filename=5.txt`,
    );
    expect(json(older)).toMatchObject({ FileName: '5.txt' });
    expect(await below('p')).toEqual(['p/3.txt', 'p/5.txt']);

    const deleted = await onFolder('DELETE', 'p');
    expect([deleted.status, json(deleted)]).toEqual([200, { files: 2, bytes: 80, nextCursor: null }]);
    await expectNothingLeft();
    for (const method of ['GET', 'DELETE']) expect((await onFolder(method, 'p')).status).toBe(404);
  });

  test('what cannot be says why', async () => {
    for (const name of ['x/y/1', 'z/2']) await putFile(service.url, fresh(), { filename: name });
    const asked = [
      [await onFolder('PATCH', 'x', { path: 'x/y/below' }), 400, 'invalid_field', 'path', 'within the folder itself'],
      [await onFolder('PATCH', 'x', { path: 'z' }), 409, 'folder_exists', 'path', 'There is a folder by that name'],
      [await onFolder('PATCH', 'x', { path: '../z' }), 400, 'invalid_field', 'path', 'no part of it may be empty'],
      [await onFolder('PATCH', 'x', { path: 'z//x' }), 400, 'invalid_field', 'path', 'no part of it may be empty'],
      [
        await onFolder('PATCH', 'x', { path: `${'n'.repeat(250)}/`.repeat(20) + 'n' }),
        400,
        'invalid_field',
        'path',
        '4096 bytes',
      ],
      [await onFolder('PATCH', 'x', { path: 7 }), 400, 'invalid_field', 'path', 'must be a text'],
      [await onFolder('PATCH', 'none', { path: 'some' }), 404, 'not_found', 'path', 'There is no folder'],
      [await onFolder('GET', ''), 400, 'invalid_field', 'path', 'path is required'],
      [await send('GET', `${service.url}/api/files?prefix=none`), 404, 'not_found', 'prefix', 'There is no folder'],
      [await send('GET', `${service.url}/api/files?prefix=a/../b`), 400, 'invalid_field', 'prefix', 'no part of it'],
      [
        await send('GET', `${service.url}/api/files?recursive=true`),
        400,
        'invalid_field',
        'prefix',
        'prefix is required',
      ],
      [
        await send('GET', `${service.url}/api/files?prefix=x&search=a`),
        400,
        'invalid_field',
        'search',
        'leave out prefix',
      ],
      [
        await send('GET', `${service.url}/api/files?prefix=x&recursive=true&sort=size`),
        400,
        'invalid_field',
        'sort',
        'leave out sort',
      ],
      [
        await send('GET', `${service.url}/api/files?prefix=x&cursor=x`),
        400,
        'invalid_field',
        'cursor',
        'must be the nextCursor',
      ],
      [
        await send('DELETE', `${service.url}/api/folders?path=x&cursor=x`),
        400,
        'invalid_field',
        'cursor',
        'must be the nextCursor',
      ],
      [await send('GET', `${service.url}/api/archive?folder=none`), 404, 'not_found', 'folder', 'There is no folder'],
      [await send('GET', `${service.url}/api/archive?folder=x&id=1`), 404, 'not_found', 'id', 'There is no file'],
      [
        await send('GET', `${service.url}/api/archive?folder=x&within=../x`),
        400,
        'invalid_field',
        'within',
        'plain name',
      ],
      [await taken({ names: 'x' }), 400, 'invalid_field', 'names', 'must be a list'],
      [await taken({ names: ['a//b'] }), 400, 'invalid_field', 'names', 'no part of it may be empty'],
      [await taken({ names: Array(1_001).fill('a') }), 400, 'invalid_field', 'names', 'at most 1000'],
    ] as [Answer, number, string, string, string][];
    for (const [answer, status, code, field, words] of asked) {
      const { error } = json<{ error: { code: string; field: string; message: string } }>(answer);
      expect([answer.status, error.code, error.field], answer.body).toEqual([status, code, field]);
      expect(error.message).toContain(words);
    }
    expect(await below('x')).toEqual(['x/y/1']);
  });

  test('a folder is one archive, with the paths from there', async () => {
    const files = { 'zip/a/1.txt': fresh(), 'zip/2.txt': fresh() };
    for (const [filename, bytes] of Object.entries(files)) await putFile(service.url, bytes, { filename });
    const answer = await fetch(`${service.url}/api/archive?folder=zip/`);
    expect(answer.headers.get('Content-Disposition')).toBe('attachment; filename="zip.zip"');
    const again = await send('HEAD', `${service.url}/api/archive?folder=zip`);
    expect(again.headers.etag).toBe(answer.headers.get('ETag'));
    const bytes = Buffer.from(await answer.arrayBuffer());
    const path = join(await makeTempFolder(), 'zip.zip');
    await writeFile(path, bytes);
    for (const reader of ZIP_READERS.filter(({ isHere }) => isHere)) await reader.check(path);
    expect(readZip(bytes).map(({ name }) => name)).toEqual(['2.txt', 'a/1.txt']);
  });

  test('an archive can be unpacked where a file and a folder have one name', async () => {
    for (const filename of ['both/same', 'both/same/below']) await putFile(service.url, fresh(), { filename });
    const answer = await fetch(`${service.url}/api/archive?folder=both`);
    const names = readZip(Buffer.from(await answer.arrayBuffer())).map(({ name }) => name);
    expect(names).toEqual(['same (2)', 'same/below']);
  });

  test('several folders and files are one archive, with their paths from a folder, by address, form and JSON', async () => {
    const ids: string[] = [];
    for (const filename of ['sel/a/1.txt', 'sel/a/b/2.txt', 'sel/c/3.txt', 'sel/4.txt', 'sel/5.txt']) {
      ids.push((await putFile(service.url, fresh(), { filename })).fileId);
    }
    const [, , three = '', four = ''] = ids;
    const archive = `${service.url}/api/archive`;
    const query = new URLSearchParams([
      ['folder', 'sel/c'],
      ['folder', 'sel/a/'],
      ['folder', 'sel/a/b'],
      ['id', four],
      ['id', three],
      ['within', 'sel/'],
      ['name', 'some'],
    ]).toString();
    const body = { folder: ['sel/c', 'sel/a/', 'sel/a/b'], id: [four, three], within: 'sel', name: 'some' };
    const names = ['c/3.txt', 'a/1.txt', 'a/b/2.txt', '4.txt'];
    const ways = [
      await fetch(`${archive}?${query}`),
      await fetch(archive, { method: 'POST', body: new URLSearchParams(query) }),
      await fetch(archive, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      }),
    ];
    for (const way of ways) {
      expect([way.status, way.headers.get('Content-Disposition')]).toEqual([200, 'attachment; filename="some.zip"']);
      expect(readZip(Buffer.from(await way.arrayBuffer())).map(({ name }) => name)).toEqual(names);
    }
    const entriesOf = async (asked: string): Promise<string[]> =>
      readZip(Buffer.from(await (await fetch(`${archive}?${asked}`)).arrayBuffer())).map(({ name }) => name);
    // Whole paths where nothing is said, as there is no folder that all of it is in.
    expect(await entriesOf(`folder=sel/c&id=${four}`)).toEqual(['sel/c/3.txt', 'sel/4.txt']);
    expect(await entriesOf('folder=sel/a/b&within=sel/a')).toEqual(['b/2.txt']);
    expect(await entriesOf('folder=sel/a/b&within=')).toEqual(['sel/a/b/2.txt']);
    expect(await entriesOf(`id=${four}&within=sel`)).toEqual(['4.txt']);
    const most = new URLSearchParams(Array.from({ length: 1_001 }, (): [string, string] => ['folder', 'sel']));
    const refused = await send('POST', archive, {
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: most.toString(),
    });
    expect([refused.status, json<{ error: { field: string } }>(refused).error.field]).toEqual([400, 'folder']);
    await onFolder('DELETE', 'sel');
  });
}, 'one');
