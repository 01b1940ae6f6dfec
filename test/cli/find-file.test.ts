/** What stands for a file on the command line, and what the command shows of names. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { putFile } from '../http/support.ts';
import { MIB, makeClient, makeLine } from './support.ts';
import { isHere } from '../harness/needs.ts';
import { IS_LINUX } from '../harness/needs.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test('every command takes an id, an MD5, an address or a name', { timeout: 60_000 }, async () => {
  const client = await makeClient(service.url);
  const bytes = makeBytes(500, 12_001);
  const { fileId, url, upload } = await putFile(service.url, bytes, { filename: 'meant.txt' });
  await putFile(service.url, makeBytes(500, 12_002), { filename: 'not meant.txt' });
  const ways = [
    fileId,
    md5(bytes),
    md5(bytes).toUpperCase(),
    url,
    url.replace(/\/\/[^/]+/, '//another.example/prefix'),
    `${service.url}/api/files/${fileId}`,
    `${service.url}/api/files/${fileId}/content`,
    upload,
    'meant.txt',
  ];
  // Each of them means the same file: an archive has a file once.
  const zip = await client.run(['get', '--json', '--zip', 'ways.zip', ...ways]);
  expect(zip.records(), zip.stderr).toMatchObject([{ status: 'downloaded', ids: [fileId] }]);
  for (const way of [md5(bytes), upload, 'meant.txt']) {
    const info = await client.run(['info', '--json', way]);
    expect([info.exitCode, info.records()[0]?.id], `${way}: ${info.stderr}`).toEqual([0, fileId]);
  }
  const odd = await client.run(['info', `${service.url}/api/files/%zz/content`]);
  expect([odd.exitCode, odd.stderr]).toEqual([1, expect.stringContaining('there is no file')]);
  const got = await client.run(['get', '-o', '-', url]);
  expect([got.exitCode, Buffer.byteLength(got.stdout) > 0]).toEqual([0, true]);
  const renamed = await client.run(['rename', '--json', 'meant.txt', 'renamed.txt']);
  expect(renamed.records()).toMatchObject([{ id: fileId, name: 'renamed.txt' }]);
  const deleted = await client.run(['delete', '--json', 'renamed.txt']);
  expect(deleted.records()).toMatchObject([{ id: fileId, status: 'deleted' }]);
  const gone = await client.run(['info', 'renamed.txt']);
  expect([gone.exitCode, gone.stderr]).toEqual([1, expect.stringContaining('there is no file renamed.txt')]);
});

test('a long name is found as macOS writes it, wherever it is cut for the search', { timeout: 60_000 }, async () => {
  const client = await makeClient(service.url);
  const ids: string[] = [];
  const names: string[] = [];
  for (const [index, start] of ['', 'a', 'ab'].entries()) {
    // Each syllable and each letter has a mark of its own.
    for (const letters of ['한', 'が', 'é']) {
      const name = `${start}${letters.repeat(40)} ${index}.txt`.normalize('NFD');
      names.push(name);
      ids.push((await putFile(service.url, makeBytes(500, 12_020), { filename: name })).fileId);
    }
  }
  const deleted = await client.run(['delete', '--json', ...names]);
  expect(
    deleted.records().map(({ id }) => id),
    deleted.stderr,
  ).toEqual(ids);
});

test('what several files could mean is not guessed at', async () => {
  const client = await makeClient(service.url);
  const bytes = makeBytes(500, 12_003);
  const one = await putFile(service.url, bytes, { filename: 'same.txt' });
  const other = await putFile(service.url, makeBytes(500, 12_004), { filename: 'same.txt' });
  // A name has one file: the second has a number.
  for (const [name, { fileId }] of [
    ['same.txt', one],
    ['same (2).txt', other],
  ] as const) {
    const byName = await client.run(['info', name, '--json']);
    expect(byName.records()[0]?.id).toBe(fileId);
  }
  await send('GET', `${service.url}/check?md5=${md5(bytes)}&filename=second.txt`);
  const byContent = await client.run(['rename', md5(bytes), 'x.txt']);
  expect([byContent.exitCode, byContent.stderr]).toEqual([1, expect.stringContaining('matches 2 files')]);
  expect((await client.run(['info', md5(bytes)])).exitCode).toBe(0);
});

// Names that are not UTF-8 exist on Linux alone.
test.skipIf(!IS_LINUX)('names that are not UTF-8 are sent under a readable one', async () => {
  const client = await makeClient(service.url);
  const folder = join(client.folder, 'old');
  await mkdir(folder);
  const inLatin1 = (name: string): Buffer => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);
  await writeFile(inLatin1('caf\u00e9.txt'), makeBytes(400, 12_005));
  await writeFile(inLatin1('caf\u00e8.txt'), makeBytes(400, 12_006));
  await mkdir(inLatin1('d\u00e9p\u00f4t'));
  await writeFile(inLatin1('d\u00e9p\u00f4t/plain.txt'), makeBytes(400, 12_007));
  const whole = await client.run(['upload', '--recursive', '--json', 'old']);
  expect([whole.exitCode, whole.stderr]).toEqual([0, expect.stringContaining('3 uploaded')]);
  expect(
    whole
      .records()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['old/caf\ufffd (2).txt', 'old/caf\ufffd.txt', 'old/d\ufffdp\ufffdt/plain.txt']);
  // As a shell names them.
  const inShell = (line: string): string[] => ['bash', '-c', `${line} old/caf*`];
  const named = await client.start(['upload', '--json'], { inShell }).done;
  expect(named.records().map(({ status }) => status)).toEqual(['instant', 'instant']);
  expect(new Set(named.records().map(({ md5: digest }) => digest)).size).toBe(2);
});

test('a name that is kept otherwise is told, and comes back as long as the disk allows', async () => {
  const client = await makeClient(service.url);
  const path = await client.makeFile('a\\b\tc.txt', 300);
  const result = await client.run(['upload', path]);
  expect([result.exitCode, result.stderr]).toEqual([0, expect.stringContaining('the service calls it a_b_c.txt')]);
  const long = `${'潮'.repeat(200)}.txt`;
  await client.run(['upload', '--name', long, await client.makeFile('long.txt', 300)]);
  const got = await client.run(['get', long]);
  expect([got.exitCode, got.stdout.trim()]).toEqual([0, `${'潮'.repeat(83)}.txt`]);
});

const HAS_SCRIPT = isHere(
  (() => {
    try {
      return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
    } catch {
      return false;
    }
  })(),
  'a terminal needs the script command of util-linux (Debian: apt-get install bsdutils)',
);

test.skipIf(!HAS_SCRIPT)(
  '40 columns keep verb and share; a dumb terminal gets plain lines',
  { timeout: 60_000 },
  async () => {
    const line = await makeLine(service.port, 4 * MIB);
    const client = await makeClient(line.url);
    const name = 'a-rather-long-name-of-a-file-of-2026.bin';
    const run = async (setting: string, env: NodeJS.ProcessEnv): Promise<string> => {
      const path = await client.makeFile(name, 5 * MIB);
      const script = ['script', '--quiet', '--return', '--command'];
      const inShell = (command: string): string[] => [...script, `${setting}${command}`, '/dev/null'];
      const result = await client.start(['upload', path], { inShell, env }).done;
      expect(result.exitCode).toBe(0);
      return result.stdout;
    };
    const narrow = await run('stty cols 40; ', { TERM: 'xterm', LANG: 'C.UTF-8' });
    expect(narrow).toMatch(/\r[^\r\n]*: uploading[^\r\n]* \d+%/);
    // oxlint-disable-next-line no-control-regex -- what a redrawn line ends with
    const drawn = [...narrow.matchAll(/\r([^\r\n\u001b]+)\u001b\[K/g)].map((match) => match[1] ?? '');
    for (const text of drawn) expect(text.length).toBeLessThan(40);
    const dumb = await run('', { TERM: 'dumb', LANG: 'C.UTF-8' });
    // oxlint-disable-next-line no-control-regex -- it is what must not be there
    expect(dumb).not.toMatch(/\u001b|\r(?!\n)/);
  },
);

test('LC_ALL=C gets nothing but ASCII to read', async () => {
  const client = await makeClient(service.url);
  const path = await client.makeFile('潮汐.txt', 300);
  const { stderr } = await client.run(['upload', path], { LC_ALL: 'C' });
  expect(stderr).toMatch(/^[\n -~]+$/);
  expect((await client.run(['upload', '--chunk-size', 'big', path], { LC_ALL: 'C' })).stderr).toContain('"big"');
});

test('what was interrupted has not failed', { timeout: 30_000 }, async () => {
  const line = await makeLine(service.port, MIB / 4);
  const client = await makeClient(line.url);
  const paths = [await client.makeFile('1.bin', 2 * MIB), await client.makeFile('2.bin', 2 * MIB)];
  const run = client.start(['upload', ...paths]);
  await run.said(' of 2 files');
  run.signal('SIGINT');
  const result = await run.done;
  expect(result.exitCode).toBe(130);
  expect(result.stderr).toContain('0 failed, 2 interrupted');
});
