import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readEnv } from '../../server/config/env.ts';
import { ConfigError } from '../../server/config/problems.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-env-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

test('the .env file fills up the environment, which wins, and nothing is printed', async () => {
  await writeFile(join(folder, '.env'), 'HOST=from.file\nHTTP_PORT=1234\n# LISTEN=0.0.0.0\nMAX_FILE_SIZE="10 GiB"\n');
  vi.stubEnv('HOST', 'from.environment');
  const before = { ...process.env };
  const prints = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
  const logs = [vi.spyOn(console, 'log'), vi.spyOn(console, 'warn')];

  const env = readEnv(folder);

  for (const spy of [...prints, ...logs]) expect(spy).not.toHaveBeenCalled();
  expect(env).toMatchObject({ HOST: 'from.environment', HTTP_PORT: '1234', MAX_FILE_SIZE: '10 GiB' });
  expect(env['LISTEN']).toBeUndefined();
  expect(process.env).toEqual(before);
});

test('without a .env file the environment is all there is', () => {
  expect(readEnv(folder)).toEqual({ ...process.env });
});

test('a .env that cannot be read is a problem, not a silent default', async () => {
  await mkdir(join(folder, '.env'));
  expect(() => readEnv(folder)).toThrow(ConfigError);
  expect(() => readEnv(folder)).toThrow(/^\.env: cannot be read: EISDIR/);
});
