/** `tidemark trash`: deleted files and folders are listed, restored by id or path, deleted for good, and emptied. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { putFile } from '../http/support.ts';
import { type Client, makeClient, makeInterceptor } from './support.ts';

let service: RunningService;
let client: Client;
beforeAll(async () => {
  service = await startService({ env: { TRASH_TTL: '7d' } });
});
afterAll(() => service.stop());

interface Line {
  id: string;
  name: string;
  status?: string;
  files?: number;
  folder?: string;
}

async function json(...args: string[]): Promise<Line[]> {
  const run = await client.run([...args, '--json']);
  expect(run.exitCode, run.stderr).toBe(0);
  return run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

test('what was deleted is listed, comes back by its path or id, and is gone once the trash is empty', async () => {
  client = await makeClient(service.url);
  expect((await client.run(['trash'])).stderr).toContain('The trash is empty.');
  for (const name of ['tide.txt', 'shots/1.jpg', 'shots/sub/2.jpg', 'other.txt'])
    await putFile(service.url, `bytes of ${name}`, { filename: name });
  const [other] = (await json('list')).filter(({ name }) => name === 'other.txt');
  for (const args of [
    ['delete', 'tide.txt', 'other.txt'],
    ['delete', '-r', 'shots'],
  ])
    expect((await client.run(args)).exitCode).toBe(0);
  expect((await json('list')).length).toBe(0);

  const list = await client.run(['trash']);
  expect(list.stdout.trim().split('\n')).toHaveLength(4);
  expect(list.stdout).toMatch(
    /^\S{36} {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}until \d{4}-\d\d-\d\d \d\d:\d\d +\d+ B {2}shots\/1\.jpg {2}\(with shots\/\)$/m,
  );
  const some = await client.run(['trash', 'list', '--limit', '2']);
  expect([some.stdout.trim().split('\n').length, some.stderr]).toEqual([2, expect.stringContaining('--limit 4')]);

  const restored = await client.run(['trash', 'restore', 'tide.txt', 'shots/']);
  expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
  expect(restored.stderr).toContain('tide.txt: restored as tide.txt');
  expect(restored.stderr).toContain('shots/: restored, with 2 files');
  expect((await json('list', '/', '-r')).map(({ name }) => name).toSorted()).toEqual([
    'shots/1.jpg',
    'shots/sub/2.jpg',
    'tide.txt',
  ]);
  expect(await json('trash', 'restore', other?.id ?? '')).toMatchObject([
    { id: other?.id, status: 'restored', name: 'other.txt' },
  ]);

  await client.run(['delete', 'tide.txt', 'other.txt']);
  await client.run(['delete', '-r', 'shots']);
  const gone = await client.run(['trash', 'delete', 'tide.txt', 'shots/', 'absent']);
  expect(gone).toMatchObject({ exitCode: 1 });
  expect(gone.stderr).toContain('tide.txt: deleted for good');
  expect(gone.stderr).toContain('absent: there is no file or folder absent in the trash');
  expect((await json('trash')).map(({ name }) => name)).toEqual(['other.txt']);
  expect((await client.run(['trash', 'empty'])).stderr).toContain('1 file (');
  expect(await json('trash')).toEqual([]);
  const none = await client.run(['trash', 'restore', 'other.txt']);
  expect([none.exitCode, none.stderr]).toEqual([
    1,
    expect.stringContaining('there is no file or folder other.txt in the trash'),
  ]);
});

test('of a path that was deleted several times, the latest comes back', async () => {
  client = await makeClient(service.url);
  for (const text of ['first', 'second']) {
    await putFile(service.url, text, { filename: 'again.txt' });
    await client.run(['delete', 'again.txt']);
  }
  const [latest] = await json('trash');
  expect(await json('trash', 'restore', 'again.txt')).toMatchObject([{ id: latest?.id }]);
  await client.run(['trash', 'empty']);
});

test('emptying asks until nothing is left of what there was at first', async () => {
  const until = '2030-01-31T12:00:00.000Z';
  const asked: string[] = [];
  const line = await makeInterceptor(service.url, ({ method, url = '' }) => {
    if (method === 'DELETE') asked.push(url);
    // As of a trash for which one request has no time.
    const isFirst = method === 'DELETE' && asked.length === 1;
    return isFirst ? { status: 200, body: { files: 2, bytes: 20, complete: false, until } } : null;
  });
  const emptied = await (await makeClient(line)).run(['trash', 'empty']);
  expect([emptied.exitCode, emptied.stderr]).toEqual([
    0,
    expect.stringContaining('The trash is empty: 2 files (20 B)'),
  ]);
  expect(asked).toEqual([
    '/api/trash?all=true',
    `/api/trash?${new URLSearchParams({ all: 'true', until }).toString()}`,
  ]);
});

test('what is typed wrongly is refused with what would be right', async () => {
  client = await makeClient(service.url);
  for (const [args, words] of [
    [['trash', 'erase'], 'use list, restore, delete or empty'],
    [['trash', 'restore'], 'name the files'],
    [['trash', 'empty', 'x'], 'Files go with'],
    [['trash', '--limit', 'x'], '--limit'],
  ] as const) {
    const run = await client.run([...args]);
    expect([run.exitCode, run.stderr]).toEqual([2, expect.stringContaining(words)]);
  }
});
