/** `tidemark quota`, and what the command does about a file for which there is no room. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload } from '../harness/tus.ts';
import { bearer, putFile } from '../http/support.ts';
import { makeClient } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { TRASH_TTL: '7d', QUOTA_BYTES: '10KiB' } });
});
afterAll(() => service.stop());

test('a file that does not fit fails at once, and goes through once there is room', async () => {
  const client = await makeClient(service.url);
  await putFile(service.url, makeBytes(8 * 1024, 9_401), { filename: 'old.bin' });
  const path = join(await makeTempFolder(), 'new.bin');
  await writeFile(path, makeBytes(4 * 1024, 9_402));
  const refused = await client.run(['upload', path]);
  expect([refused.exitCode === 0, refused.stderr]).toEqual([
    false,
    expect.stringContaining('The quota of 10240 bytes has no room for this: 8192 are taken.'),
  ]);
  expect((await client.run(['delete', 'old.bin'])).exitCode).toBe(0);
  const quota = await client.run(['quota']);
  expect(quota.stdout.split('\n')).toEqual([
    'Bytes:              8.0 KiB of 10.0 KiB, 80 % (8.0 KiB in the trash, 0 B in unfinished uploads)',
    'Files:              1 (1 in the trash, 0 in unfinished uploads)',
    'Unfinished uploads: 0 of 10000, 0 %',
    '',
  ]);
  expect((await client.run(['trash', 'empty'])).exitCode).toBe(0);
  expect(await client.run(['upload', path])).toMatchObject({ exitCode: 0 });
  const record = JSON.parse((await client.run(['quota', '--json'])).stdout) as unknown;
  expect(record).toMatchObject({
    bytes: { used: 4096, limit: 10_240 },
    of: { files: { files: 1 }, trash: { files: 0 } },
  });
});

test('a file that is sent in parts is refused before the first of them', async () => {
  const client = await makeClient(service.url);
  const path = await client.makeFile('parts.bin', 20 * 1024 * 1024);
  const refused = await client.run(['upload', '--streams', '2', path]);
  expect([refused.exitCode === 0, refused.stderr]).toEqual([
    false,
    expect.stringContaining('The quota of 10.0 KiB has no room for this'),
  ]);
  const quota = JSON.parse((await client.run(['quota', '--json'])).stdout) as unknown;
  expect(quota).toMatchObject({ openUploads: { used: 0 }, of: { uploads: { bytes: 0 } } });
});

test('what is not limited has no bound in its line, and what is full is said to be', async () => {
  const env = { AUTH_TOKENS: 'files:secret-of-files,free:secret-of-free', QUOTAS: 'files:files=2:uploads=4' };
  const own = await startService({ env });
  onTestFinished(() => own.stop());
  const client = await makeClient(own.url);
  const lines = async (owner: string): Promise<string[]> => {
    const run = await client.run(['quota'], { TIDEMARK_TOKEN: `secret-of-${owner}` });
    expect(run.exitCode, run.stderr).toBe(0);
    return run.stdout.split('\n');
  };
  await putFile(own.url, makeBytes(1024, 9_403), { filename: 'one' }, bearer('secret-of-files'));
  await createUpload(own.url, 512, {}, bearer('secret-of-files'));
  expect(await lines('files')).toEqual([
    'Bytes:              1.5 KiB (0 B in the trash, 512 B in unfinished uploads)',
    'Files:              2 of 2, 100 % (0 in the trash, 1 in unfinished uploads)',
    'Unfinished uploads: 1 of 4, 25 %',
    '',
  ]);
  expect(await lines('free')).toEqual([
    'Bytes:              0 B (0 B in the trash, 0 B in unfinished uploads)',
    'Files:              0 (0 in the trash, 0 in unfinished uploads)',
    'Unfinished uploads: 0 of 10000, 0 %',
    '',
  ]);
});
