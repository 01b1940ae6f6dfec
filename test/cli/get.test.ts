import { readdirSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { putFile } from '../http/support.ts';
import { MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

const SIZE = 3 * MIB;
const bytes = makeBytes(SIZE, 99);
/** Bytes per second: a run that is killed once something of it is on the disk has most of it before it. */
const SLOW = 3 * MIB;

/** The part files in a folder. */
function partsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.tidemark-part'))
    .map((name) => join(folder, name));
}

/** How much of a download is on the disk. */
function partSize(folder: string): number {
  const [path = ''] = partsIn(folder);
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test('a download that was killed resumes by Range, and a damaged beginning is replaced', async () => {
    await putFile(service.url, bytes, { filename: 'ranged.bin' });
    const line = await makeLine(service.port, { answersPerSecond: SLOW });
    const client = await makeClient(line.url);
    /** Kills a download once something of it is on the disk; how much. */
    async function leavePart(): Promise<number> {
      const run = client.start(['get', '--force', md5(bytes), '-o', 'copy.bin']);
      await until(() => partSize(client.folder) > 0);
      run.signal('SIGKILL');
      await run.done;
      return partSize(client.folder);
    }

    const there = await leavePart();
    expect(there).toBeLessThan(SIZE);
    const [resumed] = (await client.run(['get', '--json', md5(bytes), '-o', 'copy.bin'])).records();
    expect(resumed).toMatchObject({ status: 'downloaded', size: SIZE, receivedBytes: SIZE - there });
    expect(md5(await readFile(join(client.folder, 'copy.bin')))).toBe(md5(bytes));

    await leavePart();
    const [part = ''] = partsIn(client.folder);
    const damaged = await readFile(part);
    damaged[100] = (damaged[100] ?? 0) ^ 1;
    await writeFile(part, damaged);
    const repaired = await client.run(['get', '--force', md5(bytes), '-o', 'copy.bin']);
    expect(repaired.exitCode).toBe(0);
    expect(repaired.stderr).toContain('is damaged');
    expect(md5(await readFile(join(client.folder, 'copy.bin')))).toBe(md5(bytes));
  });
});

describe('wherever the bytes are', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('by id and by MD5, verified, and never over a file that is there', async () => {
    const client = await makeClient(service.url);
    await client.makeFile('original.bin', bytes);
    const [uploaded] = (await client.run(['upload', '--json', 'original.bin'])).records();
    const byId = await client.run(['get', uploaded?.id ?? '', '-o', 'by-id.bin']);
    expect(byId).toMatchObject({ exitCode: 0, stdout: 'by-id.bin\n' });
    const byMd5 = await client.run(['get', md5(bytes), '-o', 'by-md5.bin']);
    expect(byMd5.exitCode).toBe(0);
    // By either address, also with another name of the service in it.
    const { url = '' } = uploaded ?? {};
    expect(url).toMatch(/\/api\/files\/[^/]+\/content$/);
    for (const [address, name] of [
      [url, 'by-address.bin'],
      [url.replace('127.0.0.1', 'localhost'), 'by-other-name.bin'],
      [`${service.url}/files/${md5(bytes)}.bin`, 'by-content.bin'],
    ] as const) {
      const run = await client.run(['get', address, '-o', name]);
      expect(run, run.stderr).toMatchObject({ exitCode: 0, stdout: `${name}\n` });
    }
    for (const name of ['by-id.bin', 'by-md5.bin', 'by-address.bin', 'by-other-name.bin', 'by-content.bin'])
      expect(md5(await readFile(join(client.folder, name)))).toBe(md5(bytes));

    const refused = await client.run(['get', md5(bytes)]);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('original.bin exists already');
    await writeFile(join(client.folder, 'original.bin'), 'mine');
    expect(await client.run(['get', '--force', md5(bytes)])).toMatchObject({ exitCode: 0 });
    expect(md5(await readFile(join(client.folder, 'original.bin')))).toBe(md5(bytes));
    expect(partsIn(client.folder)).toEqual([]);

    const unknown = await client.run(['get', 'no-such-id']);
    expect(unknown).toMatchObject({ exitCode: 1 });
    expect(unknown.stderr).toContain('there is no file no-such-id');
    const noAddress = await client.run(['get', `${service.url}/elsewhere/x`]);
    expect(noAddress).toMatchObject({ exitCode: 1 });
    expect(noAddress.stderr).toContain('is not the address of a file');
  });

  test('a line that is cut on the way does not end a download', async () => {
    await putFile(service.url, bytes, { filename: 'cut.bin' });
    const line = await makeLine(service.port, { answersPerSecond: SLOW });
    const client = await makeClient(line.url);
    const run = client.start(['get', md5(bytes), '-o', 'copy.bin']);
    await until(() => partSize(client.folder) > 0);
    line.cut();
    const result = await run.done;
    expect(result.exitCode).toBe(0);
    expect(md5(await readFile(join(client.folder, 'copy.bin')))).toBe(md5(bytes));
  });

  test('a .part file beside the target is somebody else’s', async () => {
    const client = await makeClient(service.url);
    await putFile(service.url, bytes, { filename: 'unrelated.bin' });
    await client.makeFile('copy.bin.part', Buffer.from('half a page'));
    expect(await client.run(['get', md5(bytes), '-o', 'copy.bin'])).toMatchObject({ exitCode: 0 });
    expect(await readFile(join(client.folder, 'copy.bin.part'), 'utf8')).toBe('half a page');
    expect(md5(await readFile(join(client.folder, 'copy.bin')))).toBe(md5(bytes));
  });

  test('a second run to the same file is refused while the first is under way', async () => {
    const client = await makeClient(service.url);
    await putFile(service.url, bytes, { filename: 'two-gets.bin' });
    const line = await makeLine(service.port, { answersPerSecond: SLOW });
    const first = client.start(['get', md5(bytes), '-o', 'copy.bin', '--server', line.url]);
    await until(() => partSize(client.folder) > 0);
    first.signal('SIGSTOP');
    const second = await client.run(['get', '--force', md5(bytes), '-o', 'copy.bin']);
    expect(second).toMatchObject({ exitCode: 1, stdout: '' });
    expect(second.stderr).toContain('another run of this command is downloading to the same file');
    first.signal('SIGCONT');
    expect(await first.done).toMatchObject({ exitCode: 0 });
    expect(md5(await readFile(join(client.folder, 'copy.bin')))).toBe(md5(bytes));
    expect(partsIn(client.folder)).toEqual([]);
  });

  test('an answer that ends early each time, of ever new content, uses patience up', async () => {
    // More than the system holds on the way: some of it has been read for certain.
    const large = makeBytes(24 * MIB, 98);
    await putFile(service.url, large, { filename: 'restless.bin' });
    let answers = 0;
    const url = await makeInterceptor(service.url, ({ url: path = '' }) => {
      if (!path.endsWith('/content')) return null;
      answers += 1;
      return { cutAfterBytes: large.length - MIB, headers: { etag: `"${answers}"` } };
    });
    const client = await makeClient(url);
    const result = await client.run(['get', '--retry-for', '2s', md5(large), '-o', 'copy.bin']);
    expect(result).toMatchObject({ exitCode: 1, stdout: '' });
    expect(result.stderr).toContain('nothing moved for 2.0 s');
    expect(result.stderr).toContain('To continue: tidemark get --retry-for 2s');
    expect(answers).toBeGreaterThan(1);
  });
});
