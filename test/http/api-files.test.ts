import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { type Answer, send } from '../harness/tus.ts';
import { json, putFile } from './support.ts';

interface Listed {
  id: string;
  name: string;
  size: number;
  uploadedAt: string;
}
interface Page {
  files: Listed[];
  nextCursor: string | null;
  total: { files: number; bytes: number };
}

const COUNT = 250;

function rename(service: RunningService, id: string, body: string, type = 'application/json'): Promise<Answer> {
  return send('PATCH', `${service.url}/api/files/${id}`, { headers: { 'Content-Type': type }, body });
}

describe('GET /api/files', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    const bytes = makeBytes(COUNT, 71);
    // Many share a size, and names differ in letter case alone: pages must not tear these apart.
    const names = Array.from({ length: COUNT }, (_, i) => `${i % 2 ? 'File' : 'file'} ${(i * 7) % COUNT}%_.txt`);
    for (let i = 0; i < COUNT; i += 10) {
      await Promise.all(
        names
          .slice(i, i + 10)
          .map((filename, k) => putFile(service.url, bytes.subarray(0, (i + k) % 40), { filename })),
      );
    }
  });
  afterAll(() => service.stop());

  async function list(query: Record<string, string>): Promise<Page> {
    const answer = await send('GET', `${service.url}/api/files?${new URLSearchParams(query).toString()}`);
    expect(answer.status, answer.body).toBe(200);
    return json<Page>(answer);
  }

  async function pages(query: Record<string, string>): Promise<Listed[]> {
    const files: Listed[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page = await list({ ...query, ...(cursor ? { cursor } : {}) });
      files.push(...page.files);
      cursor = page.nextCursor;
    }
    return files;
  }

  const keys = {
    uploaded: (file: Listed) => file.uploadedAt,
    size: (file: Listed) => file.size,
    name: (file: Listed) => file.name.toLowerCase(),
  };
  test.each([
    ['uploaded', 'asc'],
    ['uploaded', 'desc'],
    ['name', 'asc'],
    ['name', 'desc'],
    ['size', 'asc'],
    ['size', 'desc'],
  ] as const)('page after page by %s, %s: each file once, in order', async (sort, order) => {
    const files = await pages({ sort, order, limit: '37' });
    expect(files.length).toBe(COUNT);
    expect(new Set(files.map((file) => file.id)).size).toBe(COUNT);
    const key = keys[sort];
    for (const [index, file] of files.entries()) {
      const before = files[index - 1];
      if (!before) continue;
      if (order === 'asc') expect(key(before) <= key(file)).toBe(true);
      else expect(key(before) >= key(file)).toBe(true);
    }
  });

  test('100 to a page, the newest first, names from the first letter, unless said otherwise', async () => {
    const first = await list({});
    expect(first.files.length).toBe(100);
    expect(first.files.map((file) => file.id)).toEqual(
      (await pages({ sort: 'uploaded', order: 'desc' })).slice(0, 100).map((f) => f.id),
    );
    const named = await list({ sort: 'name', limit: '3' });
    expect(named.files.map((file) => file.name)).toEqual(
      (await list({ sort: 'name', order: 'asc', limit: '3' })).files.map((f) => f.name),
    );
    expect((await list({ limit: '1000' })).nextCursor).toBeNull();
  });

  test('count and total size are told with each page, of all files, whatever is searched for', async () => {
    const bytes = Array.from({ length: COUNT }, (_, i) => i % 40).reduce((sum, size) => sum + size, 0);
    expect((await list({})).total).toEqual({ files: COUNT, bytes });
    expect((await list({ search: 'nothing like it', limit: '1' })).total).toEqual({ files: COUNT, bytes });
  });

  test('search finds parts of names in either case, and takes pattern characters literally', async () => {
    expect((await pages({ search: 'FILE 24%_', limit: '2' })).map((file) => file.name.toLowerCase())).toEqual([
      'file 24%_.txt',
    ]);
    expect((await pages({ search: 'file 24', limit: '3' })).length).toBe(11);
    expect((await list({ search: '%%' })).files).toEqual([]);
    expect((await list({ search: 'nothing like it' })).files).toEqual([]);
    expect((await list({ search: '' })).files.length).toBe(100);
  });

  test('a search that no name can hold is 400, whatever its length', async () => {
    for (const search of ['x'.repeat(256), '_'.repeat(29_000), '%00', 'a%00b', '%0a', '%7f', '%c2%85']) {
      const answer = await send('GET', `${service.url}/api/files?search=${search}`);
      expect([answer.status, answer.code]).toEqual([400, 'invalid_field']);
    }
    expect((await list({ search: '_'.repeat(255) })).files).toEqual([]);
  });

  test('what is not valid is 400 with its field', async () => {
    const { nextCursor } = await list({ sort: 'size', limit: '5' });
    for (const [field, query] of [
      ['limit', { limit: '0' }],
      ['limit', { limit: '1001' }],
      ['limit', { limit: '5x' }],
      ['sort', { sort: 'color' }],
      ['order', { order: 'up' }],
      ['cursor', { cursor: 'nonsense' }],
      ['cursor', { cursor: Buffer.from('{}').toString('base64url') }],
      ['cursor', { cursor: String(nextCursor), sort: 'name' }],
      ['cursor', { cursor: String(nextCursor), sort: 'size', order: 'asc' }],
    ] as const) {
      const answer = await send(
        'GET',
        `${service.url}/api/files?${new URLSearchParams(query as Record<string, string>).toString()}`,
      );
      expect([answer.status, json(answer)], JSON.stringify(query)).toMatchObject([
        400,
        { error: { code: 'invalid_field', field } },
      ]);
    }
  });
});

describe('one file', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    '',
    '.',
    '..',
    '../x',
    'a//b',
    '/a',
    'a/',
    'a/../b',
    `${'a/'.repeat(101)}b`,
    `${'n'.repeat(250)}/`.repeat(17) + 'n',
    'a\\b',
    'a\0b',
    'a\nb',
    '\u2028',
    '\ud800',
    'ü'.repeat(256),
    null,
    5,
    ['a'],
    undefined,
  ])('cannot be called %j', async (name) => {
    const { fileId } = await putFile(service.url, 'keeps its name', { filename: 'keeps.txt' });
    const answer = await rename(service, fileId, JSON.stringify({ name }));
    expect([answer.status, json(answer)]).toMatchObject([400, { error: { code: 'invalid_field', field: 'name' } }]);
    expect(json(await send('GET', `${service.url}/api/files/${fileId}`))['name']).toBe('keeps.txt');
  });

  test('a body that is no JSON object is refused', async () => {
    const { fileId } = await putFile(service.url, 'body', { filename: 'body.txt' });
    for (const [body, type, status] of [
      ['{"name":', 'application/json', 400],
      ['[]', 'application/json', 400],
      ['null', 'application/json', 400],
      ['"x"', 'application/json', 400],
      ['name=x', 'application/x-www-form-urlencoded', 415],
      [`{"name":"${'x'.repeat(20_000)}"}`, 'application/json', 413],
    ] as const) {
      expect((await rename(service, fileId, body, type)).status, body.slice(0, 20)).toBe(status);
    }
    expect((await send('PATCH', `${service.url}/api/files/${fileId}`)).status).toBe(415);
  });
});

describeOverCatalogs((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  describe('one file', () => {
    test('is described, renamed and deleted', async () => {
      const bytes = makeBytes(500, 72);
      const { fileId, url } = await putFile(service.url, bytes, { filename: 'one.txt' });
      const address = `${service.url}/api/files/${fileId}`;
      const described = json(await send('GET', address));
      expect(described).toEqual({
        id: fileId,
        name: 'one.txt',
        size: 500,
        md5: md5(bytes),
        type: 'text/plain',
        uploadedAt: expect.any(String),
        url,
      });
      const renamed = await rename(service, fileId, JSON.stringify({ name: '潮.png' }));
      expect([renamed.status, json(renamed)]).toEqual([
        200,
        // Its address is its own: a new name does not change it.
        { ...described, name: '潮.png', type: 'image/png' },
      ]);
      expect(url).toBe(`${address}/content`);
      expect((await send('GET', url)).headers['content-type']).toBe('image/png');
      const deleted = await send('DELETE', address);
      expect([deleted.status, deleted.body]).toEqual([204, '']);
      for (const method of ['GET', 'DELETE']) expect((await send(method, address)).status).toBe(404);
      expect((await rename(service, fileId, '{"name":"x"}')).status).toBe(404);
    });

    test('its bytes are removed with the last file of them, not before', async () => {
      const bytes = makeBytes(900, 73);
      const before = await service.contents();
      const [one, two] = [
        await putFile(service.url, bytes, { filename: 'one.txt' }),
        await putFile(service.url, bytes, { filename: 'two.bin' }),
      ];
      const name = await service.contentName(one.upload, `${md5(bytes)}.txt`);
      expect((await service.contents()).filter((stored) => !before.includes(stored))).toEqual([name]);
      await send('DELETE', `${service.url}/api/files/${one.fileId}`);
      expect(await service.contents()).toContain(name);
      expect((await send('GET', two.url)).headers['content-length']).toBe('900');
      await send('DELETE', `${service.url}/api/files/${two.fileId}`);
      expect(await service.contents()).not.toContain(name);
      expect((await send('GET', two.url)).status).toBe(404);
    });
  });
}, 'one');
