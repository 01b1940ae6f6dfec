import { mkdir, readFile, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { MIB, makeClient, settled } from './support.ts';

async function published(url: string): Promise<string> {
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  return md5(new Uint8Array(await answer.arrayBuffer()));
}

describe('files', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('a file is uploaded and published under the digest it has here; the second time is instant', async () => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('überraschung 1.bin', 3 * MIB + 1);
    const first = await client.run(['upload', path]);
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stderr).toMatch(/uploaded 3\.0 MiB .*MD5 verified/);
    expect(await published(first.stdout.trim())).toBe(md5(await readFile(path)));

    const second = await client.run(['upload', '--json', path]);
    expect(second.records()).toMatchObject([{ path, status: 'instant', sentBytes: 0, name: 'überraschung 1.bin' }]);
    expect(await readdir(join(client.folder, '.local/state/tidemark/uploads'))).toEqual([]);
  });

  test('an empty file, and one sent in chunks', async () => {
    const client = await makeClient(service.url);
    const empty = await client.makeFile('empty', 0);
    const chunked = await client.makeFile('chunked.bin', 2 * MIB);
    const result = await client.run(['upload', '--json', '--chunk-size', '700k', '--parallel', '1', empty, chunked]);
    expect(result.records()).toMatchObject([
      { path: empty, status: 'uploaded', size: 0 },
      { path: chunked, status: 'uploaded', size: 2 * MIB, sentBytes: 2 * MIB },
    ]);
  });

  test('thirty files at once, equal ones among them: each is told once, equal bytes are sent once', async () => {
    const client = await makeClient(service.url);
    const paths: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      paths.push(await client.makeFile(`many-${i}.bin`, makeBytes(400_000 + (i % 20), 7000 + (i % 20))));
    }
    const result = await client.run(['upload', '--json', '--parallel', '30', ...paths]);
    expect(result.exitCode).toBe(0);
    const records = result.records();
    expect(records.map(({ path }) => path).sort()).toEqual([...paths].sort());
    expect(records.filter(({ status }) => status === 'uploaded')).toHaveLength(20);
    expect(records.filter(({ status }) => status === 'instant')).toHaveLength(10);
    for (const { path, md5: told } of records) expect(told).toBe(md5(await readFile(path)));
  });

  test.each([0, 1, 1 * MIB, 2 * MIB, 2 * MIB + 77])('standard input of %i bytes, in chunks of 1 MiB', async (size) => {
    const client = await makeClient(service.url);
    const bytes = makeBytes(size, size + 3);
    const args = ['upload', '-', '--name', `stdin-${size}.bin`, '--chunk-size', '1MiB', '--json'];
    const run = client.start(args, { stdinOpen: true });
    run.stdin.end(bytes);
    const result = await run.done;
    expect(result.stderr).toContain('MD5 verified');
    expect(result.records()).toMatchObject([{ status: 'uploaded', size, md5: md5(bytes) }]);
  });
});

describe('wherever the bytes are', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('--quiet prints addresses alone', async () => {
    const client = await makeClient(service.url);
    const result = await client.run(['upload', '-q', await client.makeFile('quiet.txt', 1000)]);
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^http:\/\/\S+\/api\/files\/[0-9a-f-]{36}\/content\n$/);
  });

  test('a folder needs --recursive, which takes regular files and says what it skips', async () => {
    const client = await makeClient(service.url);
    await mkdir(join(client.folder, 'tree/deep'), { recursive: true });
    await writeFile(join(client.folder, 'tree/a.txt'), 'a');
    await writeFile(join(client.folder, 'tree/deep/b.txt'), 'b');
    await symlink('..', join(client.folder, 'tree/deep/round'));
    const refused = await client.run(['upload', 'tree']);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toContain('--recursive');
    const result = await client.run(['upload', '--recursive', '--json', 'tree']);
    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain('tree/deep/round: skipped, a symbolic link');
    expect(
      result
        .records()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['tree/a.txt', 'tree/deep/b.txt']);
  });

  test('one file that is missing fails alone', async () => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('there.bin', 5000);
    const result = await client.run(['upload', '--json', 'missing.bin', path]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('missing.bin: there is no such file');
    const statuses = result.records().map(({ path: told, status }) => [told, status]);
    expect(Object.fromEntries(statuses)).toEqual({ 'missing.bin': 'failed', [path]: 'uploaded' });
  });

  test('digests are remembered while a file stays the same', async () => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('remembered.bin', 100_000);
    const digest = md5(await readFile(path));
    await settled(path);
    expect((await client.run(['check', '--json', path])).records()).toMatchObject([
      { md5: digest, status: 'notfound' },
    ]);

    // A mark in what was remembered shows that it is used.
    const folder = join(client.folder, '.cache/tidemark/digests');
    const [name = ''] = await readdir(folder);
    const remembered = await readFile(join(folder, name), 'utf8');
    await writeFile(join(folder, name), remembered.replace(digest, 'f'.repeat(32)));
    expect((await client.run(['check', '--json', path])).records()).toMatchObject([{ md5: 'f'.repeat(32) }]);

    await utimes(path, 1_700_000_000, 1_700_000_000);
    expect((await client.run(['check', '--json', path])).records()).toMatchObject([{ md5: digest }]);
  });

  test('list, info, rename and delete', async () => {
    const client = await makeClient(service.url);
    for (const name of ['cat-1.txt', 'cat-2.txt', 'cat-3.txt'])
      await client.makeFile(name, Buffer.from(`I am ${name}`));
    await client.run(['upload', 'cat-1.txt', 'cat-2.txt', 'cat-3.txt']);
    const listed = await client.run(['list', '--search', 'cat-', '--sort', 'name', '--json']);
    expect(listed.records().map(({ name }) => name)).toEqual(['cat-1.txt', 'cat-2.txt', 'cat-3.txt']);
    expect((await client.run(['list', '--limit', '1', '--json'])).records()).toHaveLength(1);

    const [first, second] = listed.records();
    const id = first?.id ?? '';
    expect((await client.run(['info', id])).stdout).toMatch(/name\s+cat-1\.txt/);
    expect(await client.run(['rename', id, 'dog.txt'])).toMatchObject({ exitCode: 0 });
    expect((await client.run(['info', id, '--json'])).records()).toMatchObject([{ name: 'dog.txt' }]);
    const refused = await client.run(['rename', id, 'a//b']);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('400 invalid_field');

    const deleted = await client.run(['delete', id, 'no-such-id', second?.id ?? '']);
    expect(deleted.exitCode).toBe(1);
    expect(deleted.stderr).toContain('no-such-id: ');
    expect((await client.run(['list', '--search', 'cat-', '--json'])).records().map(({ name }) => name)).toEqual([
      'cat-3.txt',
    ]);
  });
});
