/** `tidemark get --zip`: several files as one ZIP file, resumed and verified. */
import { readdirSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { readZip } from '../harness/zip-readers.ts';
import { putFile } from '../http/support.ts';
import { makeClient, makeLine, MIB, until } from './support.ts';

const LARGE = makeBytes(2 * MIB, 98);
/** Bytes per second: a run that is killed once something is on the disk has most of it before it. */
const SLOW = 2 * MIB;
const SMALL = Buffer.from('the tide comes in\n');

/** The part file in a folder, and how much of it is on the disk. */
function partIn(folder: string): { path: string; size: number } {
  const name = readdirSync(folder).find((each) => each.endsWith('.tidemark-part'));
  const path = join(folder, name ?? '');
  return { path, size: name === undefined ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0) };
}

describe('get --zip', () => {
  let service: RunningService;
  let ids: string[];
  beforeAll(async () => {
    service = await startService();
    ids = [];
    for (const [filename, bytes] of [
      ['tide.txt', SMALL],
      ['large.bin', LARGE],
      ['tide.txt', makeBytes(1_000, 97)],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      ids.push((await putFile(service.url, bytes, { filename })).fileId);
    }
  });
  afterAll(() => service.stop());

  async function expectWhole(path: string): Promise<void> {
    const entries = readZip(await readFile(path));
    expect(entries.map(({ name }) => name)).toEqual(['tide.txt', 'large.bin', 'tide (2).txt', 'empty']);
    expect([md5(entries[0]?.bytes ?? SMALL), md5(entries[1]?.bytes ?? SMALL)]).toEqual([md5(SMALL), md5(LARGE)]);
  }

  test('by id and by name, each file once, never over a file that is there', async () => {
    const client = await makeClient(service.url);
    const [first = '', , third = '', last = ''] = ids;
    const run = await client.run(['get', '--zip', 'tides.zip', first, 'large.bin', third, last, first]);
    expect(run, run.stderr).toMatchObject({ exitCode: 0, stdout: 'tides.zip\n' });
    expect(run.stderr).toContain('4 files');
    expect(run.stderr).toContain('MD5s verified');
    await expectWhole(join(client.folder, 'tides.zip'));
    expect(partIn(client.folder).size).toBe(0);

    const again = await client.run(['get', '--zip', 'tides.zip', first]);
    expect([again.exitCode, again.stderr.includes('tides.zip exists already')]).toEqual([1, true]);
    const [record] = (await client.run(['get', '--json', '--force', '--zip', '.', first])).records();
    expect(record).toMatchObject({ path: 'files.zip', status: 'downloaded', ids: [first] });
  });

  test('what cannot be meant', async () => {
    const client = await makeClient(service.url);
    const [first = '', second = ''] = ids;
    const many = Array.from({ length: 101 }, () => first);
    for (const [args, words] of [
      [['get', first, second], '--zip <path>'],
      [['get', '--zip', 'a.zip', '-o', 'b.zip', first], '--zip and --output do not go together'],
      [['get', '--zip', 'a.zip', '--streams', '2', first], '--streams does not go with --zip'],
      [['get', '--zip', 'a.zip', ...many], 'at most 100 files'],
    ] satisfies [string[], string][]) {
      const { exitCode, stderr } = await client.run([...args]);
      expect([exitCode, stderr.includes(words)], stderr).toEqual([2, true]);
    }
    const none = await client.run(['get', '--zip', 'a.zip', first, 'no-such-file']);
    expect([none.exitCode, none.stderr.includes('there is no file no-such-file')]).toEqual([1, true]);
  });

  test('one that was killed resumes, also at a service that was started again; a damaged beginning is replaced', async () => {
    const line = await makeLine(service.port, { answersPerSecond: SLOW });
    const client = await makeClient(line.url);
    /** Kills a download once so much of it is on the disk. */
    async function leavePart(): Promise<number> {
      const run = client.start(['get', '--force', '--zip', 'tides.zip', ...ids]);
      await until(() => partIn(client.folder).size > 0);
      run.signal('SIGKILL');
      await run.done;
      return partIn(client.folder).size;
    }

    const there = await leavePart();
    expect(there).toBeLessThan(LARGE.length);
    await service.restart();
    const [resumed] = (await client.run(['get', '--json', '--zip', 'tides.zip', ...ids])).records();
    const { size } = statSync(join(client.folder, 'tides.zip'));
    expect(resumed).toMatchObject({ status: 'downloaded', size, receivedBytes: size - there });
    await expectWhole(join(client.folder, 'tides.zip'));

    await leavePart();
    const { path } = partIn(client.folder);
    const damaged = await readFile(path);
    damaged[1_000] = (damaged[1_000] ?? 0) ^ 1;
    await writeFile(path, damaged);
    const repaired = await client.run(['get', '--force', '--zip', 'tides.zip', ...ids]);
    expect([repaired.exitCode, repaired.stderr.includes('is damaged')]).toEqual([0, true]);
    await expectWhole(join(client.folder, 'tides.zip'));
  });

  test('a line that is cut on the way does not end it', async () => {
    const line = await makeLine(service.port, { answersPerSecond: SLOW });
    const client = await makeClient(line.url);
    const run = client.start(['get', '--zip', 'tides.zip', ...ids]);
    await until(() => partIn(client.folder).size > 0);
    line.cut();
    const { exitCode, stderr } = await run.done;
    expect(exitCode, stderr).toBe(0);
    await expectWhole(join(client.folder, 'tides.zip'));
  });

  test('bytes that are not those of the catalog are dropped', async () => {
    const own = await startService();
    try {
      const { fileId } = await putFile(own.url, makeBytes(5_000, 96), { filename: 'one.bin' });
      const client = await makeClient(own.url);
      const folder = join(own.dataDir, 'files');
      const content = readdirSync(folder).find((name) => name.endsWith('.bin')) ?? '';
      const rotten = await readFile(join(folder, content));
      rotten[7] = (rotten[7] ?? 0) ^ 1;
      await writeFile(join(folder, content), rotten);
      const run = await client.run(['get', '--retry-for', '1s', '--zip', 'one.zip', fileId]);
      expect(run.exitCode).toBe(1);
      expect(readdirSync(client.folder).filter((name) => name.endsWith('.zip'))).toEqual([]);
    } finally {
      await own.stop();
    }
  });
});
