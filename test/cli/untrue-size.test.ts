/** Files whose size is not what reading them gives: those of /proc and /sys (Linux). */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeClient } from './support.ts';
import { isHere } from '../harness/needs.ts';

/** Less than it says, and more than it says. */
const SHORT = '/sys/kernel/uevent_seqnum';
const LONG = '/proc/version';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const HAS_UNTRUE_SIZES = isHere(
  existsSync(SHORT),
  'files that give other than their size need Linux, with /sys mounted',
);

describe.skipIf(!HAS_UNTRUE_SIZES)('a file that gives other than its size', () => {
  test.each([LONG, SHORT])('%s is uploaded as a stream, whole', async (path) => {
    const bytes = await readFile(path);
    expect((await stat(path)).size).not.toBe(bytes.length);
    const client = await makeClient(service.url);
    const result = await client.run(['upload', '--json', path]);
    expect(result.records()).toMatchObject([
      { path, status: 'uploaded', size: bytes.length, md5: md5(bytes), sentBytes: bytes.length },
    ]);
    const url = result.records()[0]?.url ?? '';
    expect(md5(new Uint8Array(await (await fetch(url)).arrayBuffer()))).toBe(md5(bytes));
    // Nothing of it is remembered.
    expect((await client.run(['upload', '--json', path])).records()).toMatchObject([{ status: 'uploaded' }]);
  });

  test('/proc/cpuinfo, and a name for it', async () => {
    const client = await makeClient(service.url);
    const result = await client.run(['upload', '--json', '--name', 'cpu.txt', '/proc/cpuinfo']);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', name: 'cpu.txt' });
    expect(record?.size).toBeGreaterThan(0);
  });

  test('a folder of them', async () => {
    const client = await makeClient(service.url);
    const result = await client.run(['upload', '--json', '--recursive', '/proc/sys/kernel/random']);
    const uuid = result.records().find(({ name }) => name === 'random/uuid');
    expect(uuid).toMatchObject({ status: 'uploaded', size: 37 });
  });

  test('cannot be asked for, and the command says why', async () => {
    const client = await makeClient(service.url);
    const result = await client.run(['check', '--json', LONG]);
    expect(result.exitCode).toBe(1);
    expect(result.records()).toMatchObject([{ status: 'failed', error: { code: 'size_untrue' } }]);
    expect(result.stderr).toMatch(/says that it has 0 bytes, but reading it gives more/);
  });
});

test('a named pipe is refused, and the command says what to do', async () => {
  const client = await makeClient(service.url);
  const path = join(client.folder, 'pipe');
  await promisify(execFile)('mkfifo', [path]);
  const result = await client.run(['upload', '--json', path]);
  expect(result.records()).toMatchObject([{ status: 'failed', error: { code: 'not_a_file' } }]);
  expect(result.stderr).toContain('tidemark upload - --name');
});
