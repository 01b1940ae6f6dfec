/** Links to folders: what is in them when they are opened, by paths, without a word about where they are. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedLinkJson, LinkPageJson, SharedJson, SharedLevelJson } from '../../server/wire/links.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type Answer, send } from '../harness/tus.ts';
import { readZip, ZIP_READERS } from '../harness/zip-readers.ts';
import { json, putFile } from './support.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const BROWSER = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

let seed = 68_000;

describeOverCatalogs((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  const fresh = (length = 40): Buffer => makeBytes(length, (seed += 1));
  const get = (url: string, headers: Record<string, string> = {}): Promise<Answer> => send('GET', url, { headers });

  async function put(
    names: readonly string[],
  ): Promise<{ ids: Record<string, string>; bytes: Record<string, Buffer> }> {
    const [ids, bytes]: [Record<string, string>, Record<string, Buffer>] = [{}, {}];
    for (const filename of names) {
      bytes[filename] = fresh();
      ids[filename] = (await putFile(service.url, bytes[filename], { filename })).fileId;
    }
    return { ids, bytes };
  }

  async function make(given: object): Promise<CreatedLinkJson> {
    const answer = await send('POST', `${service.url}/api/links`, { headers: JSON_TYPE, body: JSON.stringify(given) });
    expect(answer.status, answer.body).toBe(201);
    return json(answer);
  }

  async function refusal(given: object): Promise<[number, string, string]> {
    const answer = await send('POST', `${service.url}/api/links`, { headers: JSON_TYPE, body: JSON.stringify(given) });
    const { error } = json<{ error: { code: string; field: string } }>(answer);
    return [answer.status, error.code, error.field];
  }

  /** All that a link has, level by level. */
  async function tree(url: string, query = ''): Promise<string[]> {
    const found: string[] = [];
    async function walk(level: string): Promise<void> {
      for (let next: string | null = level + query; next !== null;) {
        const answer = await get(next);
        expect(answer.status, answer.body).toBe(200);
        const { folders, files, nextUrl } = json<SharedLevelJson>(answer);
        found.push(...files.map(({ name }) => name));
        for (const folder of folders) await walk(folder.url);
        next = nextUrl;
      }
    }
    const shared = json<SharedJson>(await get(url));
    for (const folder of shared.folders) await walk(folder.url);
    return [...found, ...shared.files.map(({ name }) => name)].toSorted();
  }

  test('shows what is in its folders when it is opened: live, with the structure, and nothing of where they are', async () => {
    const { ids, bytes } = await put([
      'my secret client/photos/a 1%.txt',
      'my secret client/photos/2024/b.txt',
      'my secret client/photos/2024/jan/c.txt',
      'my secret client/single.txt',
      'other/d.txt',
    ]);
    const { url, ...link } = await make({
      files: [ids['my secret client/single.txt']],
      folders: ['my secret client/photos/', 'other'],
    });
    expect(link).toMatchObject({
      files: 5,
      folders: 2,
      firstFile: 'single.txt',
      firstFolder: 'photos',
      state: 'active',
    });
    const answer = await get(url);
    expect(json(answer)).toMatchObject({
      size: 200,
      files: [{ position: 1, name: 'single.txt' }],
      folders: [
        { position: 2, name: 'photos', files: 3, bytes: 120, url: `${url}/folders/2` },
        { position: 3, name: 'other', files: 1, bytes: 40, url: `${url}/folders/3` },
      ],
    });
    const level = await get(`${url}/folders/2`);
    expect(json(level)).toEqual({
      name: 'photos',
      expiresAt: null,
      downloadsLeft: null,
      folders: [{ name: 'photos/2024', files: 2, bytes: 80, url: `${url}/folders/2/2024` }],
      files: [
        {
          name: 'photos/a 1%.txt',
          size: 40,
          md5: md5(bytes['my secret client/photos/a 1%.txt'] ?? Buffer.of()),
          type: 'text/plain',
          url: `${url}/files/2/a%201%25.txt`,
        },
      ],
      nextUrl: null,
    });
    for (const { body, headers } of [answer, level, await get(url, BROWSER), await get(`${url}/folders/2`, BROWSER)]) {
      expect(body).not.toContain('secret client');
      for (const id of Object.values(ids)) expect(body).not.toContain(id);
      expect(headers['cache-control']).toBe('no-store');
    }
    const all = ['other/d.txt', 'photos/2024/b.txt', 'photos/2024/jan/c.txt', 'photos/a 1%.txt', 'single.txt'];
    expect(await tree(url)).toEqual(all);
    expect(await tree(url, '?limit=1')).toEqual(all);
    const file = await get(`${url}/files/2/2024/jan/c.txt?download`);
    expect([file.status, file.headers['content-disposition']]).toEqual([200, 'attachment; filename="c.txt"']);
    expect(file.body).toBe((bytes['my secret client/photos/2024/jan/c.txt'] ?? Buffer.of()).toString('utf8'));
    expect((await get(`${url}/files/2/a%201%25.txt`, { Range: 'bytes=0-9' })).status).toBe(206);

    // Later: a file comes, one goes, the folder moves.
    await put(['my secret client/photos/2025/new.txt', 'elsewhere/no.txt']);
    await send('DELETE', `${service.url}/api/files/${ids['my secret client/photos/2024/b.txt']}`);
    await send('PATCH', `${service.url}/api/folders?path=my secret client`.replaceAll(' ', '%20'), {
      headers: JSON_TYPE,
      body: JSON.stringify({ path: 'moved' }),
    });
    const now = ['other/d.txt', 'photos/2024/jan/c.txt', 'photos/2025/new.txt', 'photos/a 1%.txt', 'single.txt'];
    expect(await tree(url)).toEqual(now);
    expect(await get(`${url}/files/2/2024/b.txt`)).toMatchObject({ status: 404 });
    const archive = await fetch(`${url}/archive`);
    const path = join(await makeTempFolder(), 'shared.zip');
    const packed = Buffer.from(await archive.arrayBuffer());
    await writeFile(path, packed);
    for (const reader of ZIP_READERS.filter(({ isHere }) => isHere)) await reader.check(path);
    expect(readZip(packed).map(({ name }) => name)).toEqual([
      'photos/a 1%.txt',
      'photos/2024/jan/c.txt',
      'photos/2025/new.txt',
      'other/d.txt',
      'single.txt',
    ]);

    await send('DELETE', `${service.url}/api/folders?path=moved`);
    await send('DELETE', `${service.url}/api/folders?path=other`);
    const gone = await get(url);
    expect([gone.status, json<{ error: { code: string } }>(gone).error.code]).toEqual([410, 'link_empty']);
    await send('DELETE', `${service.url}/api/folders?path=elsewhere`);
  });

  test('a limited link counts each file once; its ticket is about the file, not about its path', async () => {
    await put(['limited/a.txt', 'limited/b.txt']);
    const { url, id } = await make({ folders: ['limited'], downloads: 1 });
    const first = await get(`${url}/files/1/a.txt`);
    expect(first.status).toBe(200);
    const cookie = (first.headers['set-cookie'] ?? [''])[0] ?? '';
    expect(cookie).toContain('/files/1/a.txt;');
    const Cookie = cookie.split(';', 1)[0] ?? '';
    expect((await get(`${url}/files/1/a.txt`, { Cookie, Range: 'bytes=10-' })).status).toBe(206);
    for (const [name, headers] of [
      ['a.txt', {}],
      ['a.txt', { Cookie }],
      ['b.txt', { Cookie, Range: 'bytes=10-' }],
    ] as const) {
      const refused = await get(`${url}/files/1/${name}`, headers);
      expect([refused.status, json<{ error: { code: string } }>(refused).error.code]).toEqual([410, 'link_used_up']);
    }
    expect((await get(`${url}/folders/1`)).status).toBe(410);
    await putFile(service.url, fresh(), { filename: 'limited/a.txt', onconflict: 'replace' });
    expect((await get(`${url}/files/1/a.txt`, { Cookie, Range: 'bytes=10-' })).status).toBe(410);
    const { links } = json<LinkPageJson>(await get(`${service.url}/api/links`));
    expect(links.find((link) => link.id === id)).toMatchObject({ downloads: 1, state: 'used_up' });
    await send('DELETE', `${service.url}/api/folders?path=limited`);
  });

  test('bad input has its status, code and field; what is not there looks like what never was', async () => {
    const { ids } = await put(['bad/1.txt', 'beside/2.txt']);
    expect(await refusal({})).toEqual([400, 'invalid_field', 'files']);
    expect(await refusal({ folders: [] })).toEqual([400, 'invalid_field', 'files']);
    expect(await refusal({ folders: 'bad' })).toEqual([400, 'invalid_field', 'folders']);
    expect(await refusal({ folders: [''] })).toEqual([400, 'invalid_field', 'folders']);
    expect(await refusal({ folders: ['a/../b'] })).toEqual([400, 'invalid_field', 'folders']);
    expect(await refusal({ folders: ['none'] })).toEqual([404, 'not_found', 'folders']);
    expect(await refusal({ folders: ['bad/1.txt'] })).toEqual([404, 'not_found', 'folders']);
    const most = Array.from({ length: 1_000 }, (_, index) => `f${index}`);
    expect(await refusal({ folders: most, files: [ids['bad/1.txt']] })).toEqual([400, 'invalid_field', 'files']);
    const { url, id } = await make({ folders: ['bad'] });
    const changed = await send('PATCH', `${service.url}/api/links/${id}`, {
      headers: JSON_TYPE,
      body: JSON.stringify({ folders: ['beside'] }),
    });
    expect(changed.status).toBe(400);
    for (const path of [
      'folders/2',
      'folders/0',
      'folders/x',
      'folders/1/none',
      'folders/1/..',
      'folders/1/..%2f..%2fbeside',
      'files/1/none.txt',
      'files/1/..%2fbeside%2f2.txt',
      'files/1/%2e%2e/2.txt',
      'files/1',
      `files/1/${'x/'.repeat(150)}y`,
      `files/1/${'x'.repeat(5_000)}`,
    ]) {
      const answer = await get(`${url}/${path}`);
      expect(answer.status, path).toBe(404);
    }
    for (const query of ['after=x', 'after=files:', 'after=files:a/b', 'limit=0', 'limit=1001']) {
      expect((await get(`${url}/folders/1?${query}`)).status, query).toBe(400);
    }
    await send('DELETE', `${service.url}/api/links/${id}`);
    expect((await get(`${url}/folders/1`)).status).toBe(404);
    expect((await get(`${url}/files/1/1.txt`)).status).toBe(404);
    for (const folder of ['bad', 'beside']) await send('DELETE', `${service.url}/api/folders?path=${folder}`);
  });

  test('a password opens levels and files of folders, too', async () => {
    await put(['locked/1.txt', 'locked/in/2.txt']);
    const { url } = await make({ folders: ['locked'], password: 'ebb and flow' });
    for (const path of ['', '/folders/1', '/folders/1/in', '/files/1/1.txt', '/files/1/none', '/archive'])
      expect((await get(url + path)).status, path).toBe(403);
    const opened = await send('POST', url, {
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: 'password=ebb+and+flow',
    });
    const Cookie = (opened.headers['set-cookie'] ?? [''])[0]?.split(';', 1)[0] ?? '';
    for (const path of ['', '/folders/1', '/folders/1/in', '/files/1/1.txt', '/archive'])
      expect((await get(url + path, { Cookie })).status, path).toBe(200);
    await send('DELETE', `${service.url}/api/folders?path=locked`);
  });
}, 'one');
