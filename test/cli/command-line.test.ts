import { existsSync, linkSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { makeClient } from './support.ts';
import { isHere } from '../harness/needs.ts';

const SECRET = 'a-rather-long-secret-0123456789';

let service: RunningService;

beforeAll(async () => {
  service = await startService({ env: { AUTH_TOKENS: `alice:${SECRET}` } });
});

afterAll(async () => {
  await service.stop();
});

test.each([
  [['upload']],
  [['upload', '--no-such-flag', 'x']],
  [['no-such-command']],
  [['gc', '--help']],
  [['upload', '--parallel', 'none', 'x']],
  [['upload', '--chunk-size', 'big', 'x']],
  [['upload', '--retry-for', 'ever', 'x']],
  [['upload', '-']],
  [['upload', '--server', 'ftp://example.org', 'x']],
  [['list', '--sort', 'colour']],
  [[]],
])('wrong usage ends with 2: %j', async (args) => {
  const client = await makeClient(service.url);
  const result = await client.run(args);
  expect(result).toMatchObject({ exitCode: 2, stdout: '' });
  expect(result.stderr).not.toMatch(/\n\s+at /);
});

test('help and version', async () => {
  const client = await makeClient(service.url);
  const help = await client.run(['--help']);
  expect(help.exitCode).toBe(0);
  expect(help.stdout).toMatch(/Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted/);
  const version = await client.run(['--version']);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('the older spelling uploads', async () => {
  const client = await makeClient('http://127.0.0.1:9');
  await client.makeFile('older.txt', Buffer.from('older'));
  const address = service.url.replace('http://', '');
  const env = { TIDEMARK_TOKEN: SECRET };
  const apart = await client.run(['-file', 'older.txt', '-server', address], env);
  expect(apart).toMatchObject({ exitCode: 0 });
  const joined = await client.run(['-file=older.txt', `-server=${address}`, '--json'], env);
  expect(joined.records()).toMatchObject([{ status: 'instant', name: 'older.txt' }]);
});

test('the server comes from flags, then the environment, then .env', async () => {
  const client = await makeClient('');
  const { port } = new URL(service.url);
  await writeFile(join(client.folder, '.env'), `HOST=127.0.0.1\nHTTP_PORT=${port}\nTIDEMARK_TOKEN=${SECRET}\n`);
  expect(await client.run(['list'])).toMatchObject({ exitCode: 0 });
  const elsewhere = { TIDEMARK_SERVER: 'http://127.0.0.1:9' };
  expect(await client.run(['list', '--retry-for', '0'], elsewhere)).toMatchObject({ exitCode: 1 });
  expect(await client.run(['list', '--server', `localhost:${port}`], elsewhere)).toMatchObject({ exitCode: 0 });
});

test.each([['ftp://127.0.0.1'], ['no address']])(
  'the service %s is refused by the name of the flag or variable that has it',
  async (server) => {
    const client = await makeClient(service.url);
    const flag = await client.run(['list', '--server', server]);
    expect([flag.exitCode, flag.stderr]).toEqual([2, expect.stringMatching(/--server: (?!.*TIDEMARK_SERVER)/)]);
    const variable = await client.run(['list'], { TIDEMARK_SERVER: server });
    expect([variable.exitCode, variable.stderr]).toEqual([2, expect.stringMatching(/TIDEMARK_SERVER: (?!.*--server)/)]);
  },
);

test('a wrong token is refused in a sentence, and no token is ever printed', async () => {
  const client = await makeClient(service.url);
  const path = await client.makeFile('secret.txt', Buffer.from('secret'));
  const wrong = 'wrong-token-5555';
  const debug = { TIDEMARK_DEBUG: '1' };
  const runs = [
    await client.run(['upload', '--json', '--token', wrong, path], debug),
    await client.run(['list', `--token=${wrong}`], debug),
    await client.run(['list'], { ...debug, TIDEMARK_TOKEN: wrong }),
    await client.run(['list', `--tokem=${wrong}`], debug),
    await client.run(['upload', '--server', 'http://127.0.0.1:9', '--retry-for', '0', '--token', wrong, path], debug),
  ];
  expect(runs.map(({ exitCode }) => exitCode)).toEqual([1, 1, 1, 2, 1]);
  expect(runs[0]?.stderr).toContain('does not know this token');
  const without = await client.run(['list']);
  expect([without.exitCode, without.stderr]).toEqual([1, expect.stringContaining('put it into TIDEMARK_TOKEN')]);
  expect(runs[0]?.records()).toMatchObject([{ status: 'failed', error: { code: 'unauthorized' } }]);
  for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(wrong);
  expect(await client.run(['upload', path], { TIDEMARK_TOKEN: SECRET })).toMatchObject({ exitCode: 0 });
});

test('a reader that goes away is no crash', async () => {
  const client = await makeClient(service.url);
  const run = client.start(['list', '--json'], { env: { TIDEMARK_TOKEN: SECRET } });
  run.closeStdout();
  const result = await run.done;
  expect(result.exitCode).toBe(0);
  expect(result.stderr).not.toContain('EPIPE');
});

const HAS_FULL = isHere(existsSync('/dev/full'), 'a device that is always full, /dev/full, needs Linux');

test.skipIf(!HAS_FULL)('results that cannot be written are a failure', async () => {
  const client = await makeClient(service.url);
  const env = { TIDEMARK_TOKEN: SECRET };
  await client.run(['upload', await client.makeFile('listed.txt', Buffer.from('listed'))], env);
  const inShell = (line: string): string[] => ['sh', '-c', `${line} > /dev/full`];
  const result = await client.start(['list'], { env, inShell }).done;
  expect(result).toMatchObject({ exitCode: 1, stderr: 'tidemark: standard output: no space left on this disk\n' });
});

test('a .env that cannot be read is not passed over', async () => {
  const client = await makeClient(service.url);
  await mkdir(join(client.folder, '.env'));
  const result = await client.run(['list'], { TIDEMARK_TOKEN: SECRET });
  expect(result).toMatchObject({ exitCode: 2, stdout: '' });
  expect(result.stderr).toContain('.env in this folder cannot be read');
});

test('under npx, the command to resume is one of npx', async () => {
  const client = await makeClient('http://127.0.0.1:9');
  const path = await client.makeFile('npx.txt', Buffer.from('npx'));
  const result = await client.run(['upload', '--retry-for', '0', path], { npm_command: 'exec' });
  expect(result.stderr).toContain(`To continue: npx tidemark upload --retry-for 0 ${path}`);
});

test('Ctrl-C while folders are searched', async () => {
  const client = await makeClient(service.url);
  const file = await client.makeFile('one', Buffer.from('one'));
  await mkdir(join(client.folder, 'tree'));
  await symlink('nowhere', join(client.folder, 'tree/a-first'));
  for (let i = 0; i < 20_000; i += 1) linkSync(file, join(client.folder, `tree/m-${i}`));
  await symlink('nowhere', join(client.folder, 'tree/z-last'));
  const run = client.start(['upload', '--recursive', 'tree']);
  await run.said('a-first: skipped');
  run.signal('SIGINT');
  const result = await run.done;
  expect(result.exitCode).toBe(130);
  expect(result.stderr).toContain('tidemark upload --recursive tree');
  expect(result.stderr).not.toContain('z-last');
});
