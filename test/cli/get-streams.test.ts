/** `tidemark get --streams`: ranges over several connections, whatever happens to them. */
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseStreams } from '../../client/cli/streams.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { makeClient, makeInterceptor, makeLine, MIB, until } from './support.ts';
import type { Client } from './support.ts';

/** Three ranges. */
const SIZE = 24 * MIB + 11;
const SLOW = 16 * MIB;
const bytes = makeBytes(SIZE, 77);
const MD5 = md5(bytes);

let service: RunningService;
beforeAll(async () => {
  service = await startService();
  const location = await createUpload(service.url, SIZE, { filename: 'ranged.bin' });
  await patch(location, 0, bytes);
});
afterAll(() => service.stop());

async function copyOf(client: Client): Promise<string> {
  return md5(await readFile(join(client.folder, 'copy.bin')));
}

function partsIn({ folder }: Client): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.tidemark-part'));
}

test('several connections carry a download at once, and what came is verified', async () => {
  const line = await makeLine(service.port, { answersPerSecond: SLOW });
  const client = await makeClient(line.url);
  const run = await client.run(['get', '--json', '--streams', '3', MD5, '-o', 'copy.bin']);
  expect(run.stderr).toContain('MD5 verified');
  expect(run.records()).toMatchObject([{ status: 'downloaded', size: SIZE, receivedBytes: SIZE }]);
  expect(line.carriers(4 * MIB)).toBe(3);
  // One line for the whole.
  const percents = [...run.stderr.matchAll(/copy\.bin: downloading (\d+)%/g)].map(([, share]) => Number(share));
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(await copyOf(client)).toBe(MD5);
  expect(partsIn(client)).toEqual([]);
});

/** Which ranges a run has recorded; each of them has to be in its part file. */
async function recorded(client: Client): Promise<{ ranges: number; bytes: number }> {
  const folder = join(client.folder, '.local/state/tidemark/downloads');
  const [name = ''] = readdirSync(folder).filter((entry) => entry.endsWith('.json'));
  const { ranges } = JSON.parse(await readFile(join(folder, name), 'utf8')) as { ranges: [number, number][] };
  const part = await readFile(join(client.folder, partsIn(client)[0] ?? ''));
  for (const [start, end] of ranges) expect(part.subarray(start, end).equals(bytes.subarray(start, end))).toBe(true);
  return { ranges: ranges.length, bytes: ranges.reduce((sum, [start, end]) => sum + end - start, 0) };
}

test('a download that was killed is taken up with any number of connections: what is recorded does not come again', async () => {
  const line = await makeLine(service.port, { answersPerSecond: SLOW });
  const client = await makeClient(line.url);
  let there = 0;
  for (const streams of ['3', '2', '1']) {
    const run = client.start(['get', '--streams', streams, MD5, '-o', 'copy.bin']);
    const before = line.receivedBytes();
    await until(() => line.receivedBytes() > before + SIZE / 4);
    run.signal('SIGKILL');
    await run.done;
    const now = await recorded(client);
    expect(now.bytes).toBeGreaterThan(there);
    there = now.bytes;
  }
  const [record] = (await client.run(['get', '--json', '--streams', '5', MD5, '-o', 'copy.bin'])).records();
  expect(record).toMatchObject({ status: 'downloaded', size: SIZE, receivedBytes: SIZE - there });
  expect(await copyOf(client)).toBe(MD5);
});

test('after Ctrl-C nothing comes twice', async () => {
  const line = await makeLine(service.port, { answersPerSecond: SLOW });
  const client = await makeClient(line.url);
  const run = client.start(['get', '--streams', '3', MD5, '-o', 'copy.bin']);
  await until(() => line.receivedBytes() > SIZE / 3);
  run.signal('SIGINT');
  const stopped = await run.done;
  expect(stopped.exitCode).toBe(130);
  expect(stopped.stderr).toContain('tidemark get --streams 3');
  const there = await recorded(client);
  expect(there.ranges).toBeGreaterThan(1);
  const [record] = (await client.run(['get', '--json', MD5, '-o', 'copy.bin'])).records();
  expect(record).toMatchObject({ status: 'downloaded', receivedBytes: SIZE - there.bytes });
  expect(await copyOf(client)).toBe(MD5);
});

test('lines that are cut on the way do not end a download, nor one that stays blocked', async () => {
  const line = await makeLine(service.port, { answersPerSecond: SLOW });
  let blocked = 0;
  const url = await makeInterceptor(line.url, ({ headers }) => {
    // As a proxy with a limit for each client.
    if (!headers.range?.startsWith('bytes=0-') || headers.range === 'bytes=0-0' || blocked >= 3) return null;
    blocked += 1;
    return { status: 503 };
  });
  const client = await makeClient(url);
  const run = client.start(['get', '--json', '--streams', '3', MD5, '-o', 'copy.bin']);
  await until(() => line.receivedBytes() > SIZE / 3);
  line.cut();
  await until(() => line.receivedBytes() > (2 * SIZE) / 3);
  line.cut();
  const result = await run.done;
  expect(result.exitCode).toBe(0);
  expect(blocked).toBe(3);
  expect(result.records()).toMatchObject([{ status: 'downloaded', size: SIZE }]);
  expect(result.stderr).not.toContain('is damaged');
  expect(await copyOf(client)).toBe(MD5);
});

test('a damaged range of an earlier run is found, and all of it is downloaded again', async () => {
  const line = await makeLine(service.port, { answersPerSecond: SLOW });
  const client = await makeClient(line.url);
  const run = client.start(['get', '--streams', '4', MD5, '-o', 'copy.bin']);
  await until(() => line.receivedBytes() > SIZE / 2);
  run.signal('SIGINT');
  await run.done;
  const path = join(client.folder, partsIn(client)[0] ?? '');
  const part = await readFile(path);
  part[100] = (part[100] ?? 0) ^ 1;
  await writeFile(path, part);
  const repaired = await client.run(['get', '--streams', '2', MD5, '-o', 'copy.bin']);
  expect(repaired.exitCode).toBe(0);
  expect(repaired.stderr).toContain('is damaged');
  expect(await copyOf(client)).toBe(MD5);
});

test('ranges of another content are never mixed in: it begins again', async () => {
  let answers = 0;
  const url = await makeInterceptor(service.url, ({ headers }) => {
    if (headers.range === undefined) return null;
    answers += 1;
    return answers === 3 ? { cutAfterBytes: SIZE, headers: { etag: '"other"' } } : null;
  });
  const client = await makeClient(url);
  const result = await client.run(['get', '--streams', '2', MD5, '-o', 'copy.bin']);
  expect(result.stderr).toContain('the content changed while it was being downloaded');
  expect(result.exitCode).toBe(0);
  expect(await copyOf(client)).toBe(MD5);
});

test('where something on the way sends no ranges, one connection carries it, and a line says so', async () => {
  const url = await makeInterceptor(service.url, ({ headers }) => {
    delete headers.range;
    return null;
  });
  const client = await makeClient(url);
  const result = await client.run(['get', '--streams', 'auto', MD5, '-o', 'copy.bin']);
  expect(result.exitCode).toBe(0);
  expect(result.stderr).toContain('using one connection');
  expect(await copyOf(client)).toBe(MD5);
});

test('a number that makes no sense, and standard output, are refused', async () => {
  const client = await makeClient(service.url);
  for (const text of ['0', '17', '1.5', 'many', '-1', ''])
    expect(() => parseStreams(text, '--streams')).toThrow('neither a whole number from 1 to 16 nor auto');
  const refused = await client.run(['get', '--streams', '17', MD5]);
  expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
  const piped = await client.run(['get', '--streams', 'auto', MD5, '-o', '-']);
  expect(piped).toMatchObject({ exitCode: 2, stdout: '' });
  expect(piped.stderr).toContain('--streams goes with a file');
});
