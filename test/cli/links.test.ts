/** `tidemark share`, `links`, `unshare`, and `get` of a link: without a token, verified, resumed, and counted once. */
import { readdirSync, statSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { readZip } from '../harness/zip-readers.ts';
import { bearer, putFile } from '../http/support.ts';
import { type Client, makeClient, makeInterceptor, makeLine, MIB, until } from './support.ts';

const SECRET = 'annas-secret-1';
const OWNER = { TIDEMARK_TOKEN: SECRET };
const LARGE = makeBytes(2 * MIB, 7_300);
/** Two parts: for several connections. */
const PARTS = makeBytes(16 * MIB, 7_301);
/** Bytes per second: a run that is killed once something of `LARGE` is on the disk has most of it before it. */
const SLOW = 2 * MIB;

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH_TOKENS: `anna:${SECRET}` } });
  for (const [name, bytes] of [
    ['tide.txt', 'the tide comes in\n'],
    ['Tide.txt', 'and goes out\n'],
    ['large.bin', LARGE],
    ['parts.bin', PARTS],
    ['empty.txt', ''],
  ] as const)
    await putFile(service.url, bytes, { filename: name }, bearer(SECRET));
});
afterAll(() => service.stop());

interface LinkRecord {
  id: string;
  url: string;
  state: string;
  downloads: number;
}

async function share(client: Client, ...args: string[]): Promise<LinkRecord> {
  const run = await client.run(['share', '--json', ...args], OWNER);
  expect(run.exitCode, run.stderr).toBe(0);
  return JSON.parse(run.stdout) as LinkRecord;
}

async function listed(client: Client, id: string): Promise<LinkRecord | undefined> {
  const { stdout } = await client.run(['links', '--json'], OWNER);
  const links = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LinkRecord);
  return links.find((link) => link.id === id);
}

/** A link over a slow connection. */
async function slowly(url: string): Promise<string> {
  return url.replace(service.url, (await makeLine(service.port, { answersPerSecond: SLOW })).url);
}

/** Somebody who knows neither the service nor a token. */
function makeFriend(): Promise<Client> {
  return makeClient('http://127.0.0.1:1');
}

test('what is shared is downloaded by its address alone, is listed, and can be revoked', async () => {
  const anna = await makeClient(service.url);
  const shared = await anna.run(['share', 'tide.txt', 'Tide.txt', '--expires', '7d', '--name', 'Tides'], OWNER);
  expect(shared.exitCode, shared.stderr).toBe(0);
  const url = shared.stdout.trim();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/s\/[\w-]{32}$/);
  expect(shared.stderr).toMatch(/^2 files: until \d{4}-\d\d-\d\d \d\d:\d\d\. /);

  const friend = await makeFriend();
  const got = await friend.run(['get', url]);
  // Equal on some file systems: neither replaces the other.
  expect(got, got.stderr).toMatchObject({ exitCode: 0, stdout: 'tide.txt\nTide (2).txt\n' });
  expect(await readFile(join(friend.folder, 'tide.txt'), 'utf8')).toBe('the tide comes in\n');
  expect(await readFile(join(friend.folder, 'Tide (2).txt'), 'utf8')).toBe('and goes out\n');
  // Again: what is here already is not asked for, and what differs is not replaced. The address comes from standard input.
  const again = friend.start(['get', '-', '--json'], { stdinOpen: true });
  again.stdin.end(`${url}\n`);
  const present = await again.done;
  expect(present.exitCode, present.stderr).toBe(0);
  expect(present.records()).toMatchObject([
    { path: 'tide.txt', status: 'present', receivedBytes: 0 },
    { path: 'Tide (2).txt', status: 'present', receivedBytes: 0 },
  ]);
  await writeFile(join(friend.folder, 'Tide (2).txt'), 'and goes OUT\n');
  const differs = await friend.run(['get', url]);
  expect([differs.exitCode, differs.stderr]).toEqual([1, expect.stringContaining('Tide (2).txt is there and differs')]);
  const zip = await friend.run(['get', '--zip', '.', `${url}?lang=zh`]);
  expect(zip, zip.stderr).toMatchObject({ exitCode: 0, stdout: 'Tides.zip\n' });
  expect(readZip(await readFile(join(friend.folder, 'Tides.zip'))).map(({ name }) => name)).toEqual([
    'tide.txt',
    'Tide (2).txt',
  ]);

  const list = await anna.run(['links'], OWNER);
  const [, id = ''] = /^(\S+) {2}active +3 {2}\d{4}-\d\d-\d\d \d\d:\d\d {2}Tides$/m.exec(list.stdout) ?? [];
  expect(list.stdout).not.toContain(url.slice(-32));
  const revoked = await anna.run(['unshare', id], OWNER);
  expect(revoked, revoked.stderr).toMatchObject({ exitCode: 0 });
  expect(await listed(anna, id)).toMatchObject({ state: 'revoked' });
  const gone = await friend.run(['get', '--force', url]);
  expect([gone.exitCode, gone.stderr]).toEqual([1, expect.stringContaining('there is no such link')]);
  const twice = await anna.run(['unshare', id], OWNER);
  expect([twice.exitCode, twice.stderr]).toEqual([1, expect.stringContaining('revoked already')]);
});

test('a link for one download: one that was killed goes on where it was, without the password, and counts once', async () => {
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  await writeFile(join(anna.folder, 'password'), 'the moon pulls\n');
  await writeFile(join(friend.folder, 'password'), 'the moon pulls\r\nmore');
  const { id, url: fast } = await share(anna, 'large.bin', '--downloads', '1', '--password-file', 'password');
  const url = await slowly(fast);
  const part = (): number => {
    const name = readdirSync(friend.folder).find((each) => each.endsWith('.tidemark-part'));
    return name === undefined ? 0 : (statSync(join(friend.folder, name), { throwIfNoEntry: false })?.size ?? 0);
  };
  const killed = friend.start(['get', url, '--password-file', 'password']);
  await until(() => part() > 0);
  killed.signal('SIGKILL');
  await killed.done;
  const kept = part();
  expect(kept).toBeLessThan(LARGE.length);
  const again = await friend.run(['get', url, '--json']);
  expect(again.exitCode, again.stderr).toBe(0);
  const [record] = again.records();
  expect(record?.receivedBytes).toBe(LARGE.length - kept);
  expect((await readFile(join(friend.folder, 'large.bin'))).equals(LARGE)).toBe(true);
  expect(await listed(anna, id)).toMatchObject({ state: 'used_up', downloads: 1 });
  const used = await friend.run(['get', '--force', url]);
  expect([used.exitCode, used.stderr]).toEqual([1, expect.stringContaining('link_used_up')]);
});

test('several connections are one download', async () => {
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  const { id, url } = await share(anna, 'parts.bin', '--downloads', '1');
  const got = await friend.run(['get', url, '--streams', '4']);
  expect(got.exitCode, got.stderr).toBe(0);
  expect((await readFile(join(friend.folder, 'parts.bin'))).equals(PARTS)).toBe(true);
  expect(await listed(anna, id)).toMatchObject({ downloads: 1 });
  // Also where any number is allowed.
  const free = await share(anna, 'parts.bin');
  const more = await friend.run(['get', free.url, '--streams', '4', '-o', 'copy.bin']);
  expect(more.exitCode, more.stderr).toBe(0);
  expect(await listed(anna, free.id)).toMatchObject({ downloads: 1 });
});

test('an empty file is downloaded again, also with a ticket of an earlier run', async () => {
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  const { url } = await share(anna, 'empty.txt', 'tide.txt', '--downloads', '9');
  await writeFile(join(friend.folder, 'tide.txt'), 'in the way');
  const first = await friend.run(['get', url]);
  expect([first.exitCode, first.stdout]).toEqual([1, 'empty.txt\n']);
  await rm(join(friend.folder, 'empty.txt'));
  const second = await friend.run(['get', url, '--force', '--retry-for', '0']);
  expect(second, second.stderr).toMatchObject({ exitCode: 0, stdout: 'empty.txt\ntide.txt\n' });
});

test('the password is sent again when its hour is over in the middle, and is no more than three attempts where answers are lost', async () => {
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  await writeFile(join(anna.folder, 'password'), 'the moon pulls');
  await writeFile(join(friend.folder, 'password'), 'the moon pulls');
  const { url } = await share(anna, 'tide.txt', 'Tide.txt', '--password-file', 'password');
  const body = { error: { code: 'password_required', message: 'This link has a password.' } };
  let isOver = false;
  let lost = 0;
  const front = await makeInterceptor(service.url, ({ method, url: path = '' }) => {
    if (method === 'GET' && path.endsWith('/files/2') && !isOver) {
      isOver = true;
      return { status: 403, body };
    }
    if (method !== 'POST' || lost === 0) return null;
    lost += 1;
    return { status: 502 };
  });
  const address = url.replace(service.url, front);
  const got = await friend.run(['get', address, '--password-file', 'password']);
  expect(got, got.stderr).toMatchObject({ exitCode: 0, stdout: 'tide.txt\nTide (2).txt\n' });
  expect(isOver).toBe(true);
  lost = 1;
  const other = await makeFriend();
  await writeFile(join(other.folder, 'password'), 'the moon pulls');
  const refused = await other.run(['get', address, '--password-file', 'password']);
  expect([refused.exitCode, lost - 1], refused.stderr).toEqual([1, 3]);
});

test('what cannot be meant, and wrong passwords', async () => {
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  await writeFile(join(anna.folder, 'password'), 'the moon pulls');
  await writeFile(join(anna.folder, 'short'), 'moon');
  await writeFile(join(anna.folder, 'empty'), '\n');
  await writeFile(join(friend.folder, 'wrong'), 'the sun pulls');
  const { url } = await share(anna, 'tide.txt', 'large.bin', '--password-file', 'password');
  for (const [client, args, exitCode, words] of [
    [anna, ['share', 'tide.txt', '--expires', 'soon'], 2, '--expires'],
    [anna, ['share', 'tide.txt', '--expires', '0'], 2, '--expires must be longer'],
    [anna, ['share', 'tide.txt', '--downloads', '0'], 2, '--downloads'],
    [anna, ['share', 'tide.txt', '--password'], 2, 'no terminal to ask at'],
    [anna, ['share', 'tide.txt', '--password-file', 'missing'], 2, 'there is no such file'],
    [anna, ['share', 'tide.txt', '--password-file', 'empty'], 2, 'no password in its first line'],
    [anna, ['share', 'tide.txt', '--password-file', 'short'], 1, '6 to 256 characters'],
    [anna, ['share', 'no-such-file'], 1, 'there is no file or folder no-such-file'],
    [friend, ['get', url], 2, '--password-file names a file'],
    [friend, ['get', url, '--password-file', 'wrong'], 1, 'wrong_password'],
    [friend, ['get', '-'], 2, 'standard input is not the address of a link'],
    [friend, ['get', url, url], 2, 'A link is downloaded by itself'],
    [friend, ['get', 'tide.txt', '--password-file', 'wrong'], 2, '--password-file goes with a link'],
    [friend, ['get', url.slice(0, -1)], 1, 'is not the address of a file'],
  ] as const) {
    const run = await client.run([...args], client === anna ? OWNER : {});
    expect([run.exitCode, run.stderr.includes(words)], `${args.join(' ')}: ${run.stderr}`).toEqual([exitCode, true]);
  }
  await writeFile(join(friend.folder, 'right'), 'the moon pulls');
  const several = await friend.run(['get', url, '--password-file', 'right', '-o', 'one.bin']);
  expect([several.exitCode, several.stderr.includes('several files')], several.stderr).toEqual([2, true]);
});

test('a folder is shared, and comes with its structure: verified, resumed, and with what came later', async () => {
  const put = (filename: string, bytes: string | Buffer) => putFile(service.url, bytes, { filename }, bearer(SECRET));
  await put('private/box/a.txt', 'a\n');
  await put('private/box/in/b.txt', 'b\n');
  await put('private/box/in/empty', '');
  await put('private/box/in/deep/large.bin', LARGE);
  await put('private/one.txt', 'one\n');
  const anna = await makeClient(service.url);
  const shared = await anna.run(['share', 'private/box/', 'private/one.txt'], OWNER);
  expect(shared.exitCode, shared.stderr).toBe(0);
  expect(shared.stderr).toMatch(/^5 files, and what will be in the folder: until it is revoked\. /);
  const url = shared.stdout.trim();
  const [newest] = (await anna.run(['links'], OWNER)).stdout.split('\n');
  expect(newest).toMatch(/ active .* box\/$/);

  const friend = await makeFriend();
  await put('private/box/later.txt', 'later\n');
  const got = await friend.run(['get', url]);
  expect(got.exitCode, got.stderr).toBe(0);
  const paths = ['box/a.txt', 'box/later.txt', 'box/in/b.txt', 'box/in/empty', 'box/in/deep/large.bin', 'one.txt'];
  expect(got.stdout.trim().split('\n')).toEqual(paths);
  expect((await readFile(join(friend.folder, 'box/in/deep/large.bin'))).equals(LARGE)).toBe(true);
  expect(
    readdirSync(friend.folder)
      .filter((name) => !name.startsWith('.'))
      .toSorted(),
  ).toEqual(['box', 'one.txt']);
  const again = await friend.run(['get', url, '--json']);
  expect(again.records().map(({ status }) => status)).toEqual(paths.map(() => 'present'));
  const zip = await friend.run(['get', '--zip', 'all.zip', url]);
  expect(zip.exitCode, zip.stderr).toBe(0);
  expect(readZip(await readFile(join(friend.folder, 'all.zip'))).map(({ name }) => name)).toEqual(paths);
  const refused = await friend.run(['get', '--output', '-', url]);
  expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringContaining('The link has folders')]);

  const none = await anna.run(['share', 'private/none/'], OWNER);
  expect([none.exitCode, none.stderr]).toEqual([1, expect.stringContaining('there is no folder private/none')]);
});

test('a folder for one download: one that was killed goes on where it was, although the link is used up', async () => {
  await putFile(service.url, LARGE, { filename: 'once/deep/large.bin' }, bearer(SECRET));
  const anna = await makeClient(service.url);
  const { id, url: fast } = await share(anna, 'once/', '--downloads', '1');
  const url = await slowly(fast);
  const friend = await makeFriend();
  const part = (): number => {
    const names = readdirSync(friend.folder, { recursive: true, encoding: 'utf8' });
    const name = names.find((each) => each.endsWith('.tidemark-part'));
    return name === undefined ? 0 : (statSync(join(friend.folder, name), { throwIfNoEntry: false })?.size ?? 0);
  };
  const killed = friend.start(['get', url]);
  await until(() => part() > 0);
  killed.signal('SIGKILL');
  await killed.done;
  expect(part()).toBeLessThan(LARGE.length);
  expect(await listed(anna, id)).toMatchObject({ state: 'used_up', downloads: 1 });
  const again = await friend.run(['get', url]);
  expect(again.exitCode, again.stderr).toBe(0);
  expect((await readFile(join(friend.folder, 'once/deep/large.bin'))).equals(LARGE)).toBe(true);
  expect(await listed(anna, id)).toMatchObject({ downloads: 1 });
});
