/** The trash over HTTP: what is deleted can be restored, by every way of deleting; what is deleted for good is gone from the store. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { type Answer, send, TUS } from '../harness/tus.ts';
import { bearer, json, putFile, type Stored } from './support.ts';

interface Trashed {
  id: string;
  name: string;
  size: number;
  md5: string;
  deletedAt: string;
  expiresAt: string;
  deletion?: { id: string; folder: string };
}

interface TrashPage {
  files: Trashed[];
  nextCursor: string | null;
  total: { files: number; bytes: number };
  keptSeconds: number;
}

interface FilesPage {
  files: { id: string; name: string; md5: string }[];
  total: { files: number; bytes: number; trash?: { files: number; bytes: number } };
}

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const ENV = { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', TRASH_TTL: '7d' };
let seed = 6_900;

describeOverCatalogs((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService(ENV);
  });
  afterAll(() => service.stop());

  const fresh = (): Buffer => makeBytes(40, (seed += 1));
  const put = (name: string, bytes = fresh(), headers = ANNA): Promise<Stored> =>
    putFile(service.url, bytes, { filename: name }, headers);
  const ask = (method: string, path: string, body?: unknown, headers = ANNA): Promise<Answer> =>
    send(method, service.url + path, {
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  async function trash(headers = ANNA): Promise<TrashPage> {
    const answer = await ask('GET', '/api/trash?limit=1000', undefined, headers);
    expect(answer.status, answer.body).toBe(200);
    return json<TrashPage>(answer);
  }

  async function names(): Promise<string[]> {
    const { files } = json<FilesPage>(await ask('GET', '/api/files?limit=1000&sort=name'));
    return files.map(({ name }) => name);
  }

  async function emptied(): Promise<void> {
    for (const { id } of json<FilesPage>(await ask('GET', '/api/files?limit=1000')).files)
      await ask('DELETE', `/api/files/${id}`);
    const answer = await ask('DELETE', '/api/trash?all=true');
    expect(answer.status, answer.body).toBe(200);
    expect(await service.contents()).toEqual([]);
  }

  test('a deleted file is in the trash, at none of its addresses, and comes back with all of them', async () => {
    const bytes = fresh();
    const { fileId, url, upload } = await put('a/tide.txt', bytes);
    const link = json<{ url: string }>(await ask('POST', '/api/links', { files: [fileId] })).url;
    expect((await ask('DELETE', `/api/files/${fileId}`)).status).toBe(204);
    const page = await trash();
    expect(page).toMatchObject({ nextCursor: null, total: { files: 1, bytes: 40 }, keptSeconds: 7 * 24 * 3600 });
    expect(page.files).toMatchObject([{ id: fileId, name: 'a/tide.txt', size: 40, md5: md5(bytes) }]);
    const [trashed] = page.files;
    expect(Date.parse(trashed?.expiresAt ?? '') - Date.parse(trashed?.deletedAt ?? '')).toBe(7 * 24 * 3_600_000);
    expect(page.files[0]).not.toHaveProperty('deletion');
    const gone = [url, `${service.url}/files/${md5(bytes)}`, `${service.url}/api/files/${fileId}`, upload];
    for (const address of gone) expect((await send('GET', address, { headers: ANNA })).status, address).toBe(404);
    expect((await send('GET', link)).status).toBe(410);
    expect(await service.contents()).toHaveLength(1);
    const listed = json<FilesPage>(await ask('GET', '/api/files'));
    expect(listed).toMatchObject({ files: [], total: { files: 0, bytes: 0, trash: { files: 1, bytes: 40 } } });

    const restored = await ask('POST', '/api/trash/restore', { files: [fileId] });
    expect(restored.status, restored.body).toBe(200);
    expect(json(restored)).toMatchObject({ files: 1, bytes: 40, restored: [{ id: fileId, name: 'a/tide.txt', url }] });
    expect((await send('GET', url, { headers: ANNA })).headers['content-length']).toBe('40');
    expect((await send('GET', `${service.url}/files/${md5(bytes)}`, { headers: ANNA })).status).toBe(200);
    expect((await send('GET', link)).status).toBe(200);
    // Whose answer was lost repeats the request.
    expect(json(await ask('POST', '/api/trash/restore', { files: [fileId] }))).toMatchObject({ files: 1 });
    expect((await trash()).total).toEqual({ files: 0, bytes: 0 });
    expect(json<FilesPage>(await ask('GET', '/api/files')).total).toEqual({ files: 1, bytes: 40 });
    await emptied();
  });

  test('every way of deleting brings files into the trash: by id, by folder, by digest, by tus, and by a file that replaces', async () => {
    const bytes = fresh();
    const { upload } = await put('by-tus');
    expect((await send('DELETE', upload, { headers: { ...TUS, ...ANNA } })).status).toBe(204);
    await put('by-digest', bytes);
    expect((await ask('POST', `/file/delete?filehash=${md5(bytes)}`)).status).toBe(200);
    await put('replaced');
    await putFile(service.url, fresh(), { filename: 'replaced', onconflict: 'replace' }, ANNA);
    await put('f/1');
    await put('f/g/2');
    const folder = json<{ files: number; deletion: string }>(await ask('DELETE', '/api/folders?path=f'));
    expect(folder).toMatchObject({ files: 2, nextCursor: null, deletion: expect.stringMatching(/^[\w-]+$/) });
    const { files } = await trash();
    expect(Object.fromEntries(files.map(({ name, deletion }) => [name, deletion?.folder]))).toEqual({
      'by-digest': undefined,
      'by-tus': undefined,
      'f/1': 'f',
      'f/g/2': 'f',
      replaced: undefined,
    });
    expect(files).toHaveLength(5);
    expect(await service.contents()).toHaveLength(6);
    const restored = await ask('POST', '/api/trash/restore', { deletion: folder.deletion });
    expect(json(restored)).toEqual({ files: 2, bytes: 80, complete: true });
    expect(await names()).toEqual(['f/1', 'f/g/2', 'replaced']);
    const others = files.filter(({ deletion }) => !deletion).map(({ id }) => id);
    expect(json(await ask('POST', '/api/trash/restore', { files: others }))).toMatchObject({ files: 3 });
    expect((await names()).toSorted()).toEqual(['by-digest', 'by-tus', 'f/1', 'f/g/2', 'replaced', 'replaced (2)']);
    await emptied();
  });

  test('what is deleted for good is gone from the store: one, several, of a folder, all', async () => {
    const ids: string[] = [];
    for (const name of ['1', '2', '3', '4', 'f/5', 'f/6']) ids.push((await put(name)).fileId);
    for (const id of ids.slice(0, 4)) await ask('DELETE', `/api/files/${id}`);
    const { deletion } = json<{ deletion: string }>(await ask('DELETE', '/api/folders?path=f'));
    expect(json(await ask('DELETE', `/api/trash?id=${ids[0]}`))).toEqual({ files: 1, bytes: 40, complete: true });
    expect(await service.contents()).toHaveLength(5);
    expect(json(await ask('DELETE', `/api/trash?id=${ids[1]}&id=${ids[2]}&id=${ids[0]}`))).toEqual({
      files: 2,
      bytes: 80,
      complete: true,
    });
    expect(json(await ask('DELETE', `/api/trash?deletion=${deletion}`))).toEqual({
      files: 2,
      bytes: 80,
      complete: true,
    });
    expect(await service.contents()).toHaveLength(1);
    expect((await ask('POST', '/api/trash/restore', { deletion })).status).toBe(404);
    expect((await ask('POST', '/api/trash/restore', { files: [ids[0]] })).status).toBe(404);
    expect(json(await ask('DELETE', '/api/trash?all=true&until=2020-01-01T00:00:00.000Z'))).toMatchObject({ files: 0 });
    expect(json(await ask('DELETE', '/api/trash?all=true'))).toMatchObject({ files: 1, bytes: 40, complete: true });
    expect(json(await ask('DELETE', '/api/trash?all=true'))).toEqual({ files: 0, bytes: 0, complete: true });
    expect(await service.contents()).toEqual([]);
  });

  test('an owner has their own trash alone, and others keep what they have of the same bytes', async () => {
    const bytes = fresh();
    const { fileId } = await put('mine', bytes);
    await ask('DELETE', `/api/files/${fileId}`);
    expect((await trash(BERT)).files).toEqual([]);
    for (const [method, path, body] of [
      ['POST', '/api/trash/restore', { files: [fileId] }],
      ['DELETE', `/api/trash?id=${fileId}`, undefined],
    ] as const)
      expect((await ask(method, path, body, BERT)).status).toBe(404);
    expect(json(await ask('DELETE', '/api/trash?all=true', undefined, BERT))).toMatchObject({ files: 0, bytes: 0 });
    const berts = await put('theirs', bytes, BERT);
    expect(await service.contents()).toHaveLength(1);
    await ask('DELETE', '/api/trash?all=true');
    expect((await send('GET', berts.url, { headers: BERT })).status).toBe(200);
    await ask('DELETE', `/api/files/${berts.fileId}`, undefined, BERT);
    await ask('DELETE', '/api/trash?all=true', undefined, BERT);
    expect(await service.contents()).toEqual([]);
  });

  test('bytes that are in the trash need not be sent again, but nobody is told to rely on them', async () => {
    const bytes = fresh();
    const { fileId } = await put('sent.txt', bytes);
    await ask('DELETE', `/api/files/${fileId}`);
    const query = `md5=${md5(bytes)}&size=40`;
    const check = async (more: string, headers = ANNA) =>
      json<{ status: string; file?: { id: string; name: string } }>(
        await ask('GET', `/check?${query}${more}`, undefined, headers),
      );
    expect(await check('')).toMatchObject({ status: 'notfound' });
    expect(await check('&filename=again.txt', BERT)).toMatchObject({ status: 'notfound' });
    const given = await check('&filename=again.txt');
    expect(given).toMatchObject({ status: 'exists', file: { name: 'again.txt' } });
    await ask('DELETE', '/api/trash?all=true');
    expect((await ask('GET', `/api/files/${given.file?.id}/content`)).status).toBe(200);
    await emptied();
  });

  test('a folder comes back with every file, also in several steps, and events tell of each', async () => {
    for (let index = 0; index < 70; index++) await put(`many/${index % 7}/${index}`, Buffer.from(`many ${index}`));
    const { deletion, files } = json<{ deletion: string; files: number }>(
      await ask('DELETE', '/api/folders?path=many'),
    );
    expect(files).toBe(70);
    expect((await trash()).total.files).toBe(70);
    expect(json(await ask('POST', '/api/trash/restore', { deletion }))).toMatchObject({ files: 70 });
    expect(json(await ask('GET', '/api/folders?path=many'))).toMatchObject({ files: 70 });
    await ask('DELETE', '/api/folders?path=many');
    await emptied();
  });

  test('what is asked for wrongly is refused, with the field, and nothing happens', async () => {
    const { fileId } = await put('kept');
    await ask('DELETE', `/api/files/${fileId}`);
    const many = Array.from({ length: 1001 }, (_, index) => `id-${index}`);
    for (const [method, path, body, field] of [
      ['DELETE', '/api/trash', undefined, 'id'],
      ['DELETE', '/api/trash?id=', undefined, 'id'],
      ['DELETE', `/api/trash?all=true&id=${fileId}`, undefined, 'id'],
      ['DELETE', '/api/trash?all=1', undefined, 'all'],
      ['DELETE', '/api/trash?all=true&until=yesterday', undefined, 'until'],
      ['DELETE', '/api/trash?deletion=', undefined, 'id'],
      ['GET', '/api/trash?limit=0', undefined, 'limit'],
      ['GET', '/api/trash?cursor=x', undefined, 'cursor'],
      ['POST', '/api/trash/restore', {}, 'files'],
      ['POST', '/api/trash/restore', { files: [] }, 'files'],
      ['POST', '/api/trash/restore', { files: [1] }, 'files'],
      ['POST', '/api/trash/restore', { files: many }, 'files'],
      ['POST', '/api/trash/restore', { deletion: 1 }, 'deletion'],
      ['POST', '/api/trash/restore', { files: [fileId], deletion: 'x' }, 'deletion'],
    ] as const) {
      const answer = await ask(method, path, body);
      const { error } = json<{ error: { code: string; field?: string } }>(answer);
      expect([answer.status, error.field], `${method} ${path}: ${answer.body}`).toEqual([400, field]);
    }
    for (const [method, path, body] of [
      ['DELETE', '/api/trash?id=none', undefined],
      ['DELETE', '/api/trash?deletion=none', undefined],
      ['POST', '/api/trash/restore', { files: ['none'] }],
      ['POST', '/api/trash/restore', { deletion: 'none' }],
    ] as const)
      expect((await ask(method, path, body)).status).toBe(404);
    expect((await trash()).files.map(({ id }) => id)).toEqual([fileId]);
    await emptied();
  });

  test('the trash outlives the death of the service; without a trash, what is in it goes and deletions are for good', async () => {
    const { fileId } = await put('lost');
    await ask('DELETE', `/api/files/${fileId}`);
    await service.restart();
    expect((await trash()).files.map(({ id }) => id)).toEqual([fileId]);
    await service.restart({ TRASH_TTL: '0' });
    await expect.poll(async () => (await trash()).files, { timeout: 20_000 }).toEqual([]);
    await expect.poll(() => service.contents()).toEqual([]);
    const other = await put('gone');
    await ask('DELETE', `/api/files/${other.fileId}`);
    expect(await trash()).toMatchObject({ files: [], keptSeconds: 0 });
    await put('f/gone');
    expect(json(await ask('DELETE', '/api/folders?path=f'))).toEqual({ files: 1, bytes: 40, nextCursor: null });
    expect(await service.contents()).toEqual([]);
  });

  test('with PUBLIC_READ, a content that is in the trash alone is at no address', async () => {
    await service.restart({ TRASH_TTL: '7d', PUBLIC_READ: 'true' });
    const bytes = fresh();
    const { fileId, url } = await put('open.txt', bytes);
    const addresses = [url, `${service.url}/files/${md5(bytes)}.txt`];
    const statuses = (): Promise<number[]> =>
      Promise.all(addresses.map(async (address) => (await send('GET', address)).status));
    expect(await statuses()).toEqual([200, 200]);
    await ask('DELETE', `/api/files/${fileId}`);
    expect(await statuses()).toEqual([404, 404]);
    await ask('POST', '/api/trash/restore', { files: [fileId] });
    expect(await statuses()).toEqual([200, 200]);
    await emptied();
  });
}, 'one');
