import { appendFile, truncate, unlink, utimes } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { MIB, makeClient, makeLine, until } from './support.ts';

const SIZE = 24 * MIB;

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});

afterAll(async () => {
  await service.stop();
});

test.each([
  ['shrinks', (path: string) => truncate(path, SIZE / 2), /shrank while it was being read/],
  ['grows', (path: string) => appendFile(path, 'more'), /grew while it was being read/],
  ['vanishes', (path: string) => unlink(path), /was deleted or replaced/],
  ['is written to', (path: string) => utimes(path, 1, 1), /was changed while it was being read/],
])('a file that %s on the way ends its upload, with the reason', async (_what, change, reason) => {
  const line = await makeLine(service.port, 12 * MIB);
  const client = await makeClient(line.url);
  const path = await client.makeFile('restless.bin', SIZE);
  const run = client.start(['upload', '--json', path]);
  await until(() => line.sentBytes() > SIZE / 3);
  await change(path);
  const result = await run.done;
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toMatch(reason);
  expect(result.records()).toMatchObject([{ path, status: 'failed', error: { code: 'file_changed' } }]);
});
