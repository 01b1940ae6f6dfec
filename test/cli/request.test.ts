/** `tidemark request`, and `upload --to` a link: without a token, verified, resumed, and within the link's limits. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedLinkJson, SentPageJson, UploadLinkJson } from '../../server/wire/links.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { bearer, json } from '../http/support.ts';
import { type Client, makeClient, makeLine, MIB, until } from './support.ts';

const SECRET = 'annas-secret-1';
const OWNER = { TIDEMARK_TOKEN: SECRET };

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH_TOKENS: `anna:${SECRET}` } });
});
afterAll(() => service.stop());

async function request(...args: string[]): Promise<CreatedLinkJson & UploadLinkJson> {
  const anna = await makeClient(service.url);
  await writeFile(join(anna.folder, 'password'), 'the moon pulls\n');
  const run = await anna.run(['request', '--json', ...args], OWNER);
  expect(run.exitCode, run.stderr).toBe(0);
  return JSON.parse(run.stdout) as CreatedLinkJson & UploadLinkJson;
}

async function sentBy(id: string): Promise<SentPageJson['uploads']> {
  const answer = await send('GET', `${service.url}/api/links/${id}/uploads`, { headers: bearer(SECRET) });
  return json<SentPageJson>(answer).uploads;
}

/** Somebody who knows neither the service nor a token. */
function makeFriend(): Promise<Client> {
  return makeClient('http://127.0.0.1:1');
}

test('files are sent by the address alone, into the folder, with who sent them; and the link is listed', async () => {
  const anna = await makeClient(service.url);
  const args = ['request', 'inbox', '--expires', '7d', '--max-files', '3', '--max-bytes', '1MiB', '--name', 'For Anna'];
  const made = await anna.run(args, OWNER);
  expect(made.exitCode, made.stderr).toBe(0);
  const url = made.stdout.trim();
  expect(made.stderr).toMatch(/^Into inbox\/: until \d{4}-\d\d-\d\d \d\d:\d\d, 3 files, 1\.0 MiB in all\. /);

  const friend = await makeFriend();
  await friend.makeFile('a.txt', Buffer.from('high water'));
  await friend.makeFile('b.txt', Buffer.from('low water'));
  const sent = await friend.run(['upload', '--to', url, 'a.txt', 'b.txt', '--sender', 'Bob', '--note', 'as promised']);
  expect(sent.exitCode, sent.stderr).toBe(0);
  expect(sent.stdout.trim().split('\n').sort()).toHaveLength(2);
  expect(sent.stderr).toContain('MD5 verified');
  const list = await anna.run(['list', 'inbox', '--json'], OWNER);
  expect(list.stdout).toContain('inbox/a.txt');
  const links = await anna.run(['links'], OWNER);
  expect(links.stdout).toMatch(/ active +2\/3 .*→ inbox\/ \(For Anna\)$/m);
  const [, id = ''] = /^(\S+) {2}active +2\/3 /m.exec(links.stdout) ?? [];
  expect(await sentBy(id)).toMatchObject([
    { sender: 'Bob', note: 'as promised', state: 'complete' },
    { sender: 'Bob', note: 'as promised', state: 'complete' },
  ]);
  // By standard input the address is in no list of processes.
  await friend.makeFile('c.txt', Buffer.from('c'));
  const quiet = friend.start(['upload', '--to', '-', 'c.txt'], { stdinOpen: true });
  quiet.stdin.end(`${url}\n`);
  expect((await quiet.done).exitCode).toBe(0);
  await friend.makeFile('d.txt', Buffer.from('d'));
  const refused = await friend.run(['upload', '--to', url, 'd.txt', '--json']);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('takes 3 files')]);
  expect(refused.records()).toMatchObject([{ status: 'failed', error: { code: 'link_files_used' } }]);
});

test('one that was killed continues where it was, with the password asked for once, and counts once', async () => {
  const { id, url } = await request('large', '--max-files', '1', '--password-file', 'password');
  const friend = await makeFriend();
  await writeFile(join(friend.folder, 'password'), 'the moon pulls\r\n');
  await friend.makeFile('large.bin', 6 * MIB);
  const line = await makeLine(service.port, 2 * MIB);
  const slow = url.replace(String(service.port), String(line.port));
  const args = ['upload', '--to', slow, 'large.bin', '--password-file', 'password', '--json'];
  const killed = friend.start(args);
  let stored = 0;
  const poll = setInterval(
    () =>
      void sentBy(id).then(
        ([upload]) => (stored = upload?.offset ?? 0),
        () => undefined,
      ),
    50,
  );
  await until(() => stored > 0);
  clearInterval(poll);
  killed.signal('SIGKILL');
  await killed.done;
  // What the line still holds does not arrive.
  line.cut();
  const again = await friend.run(args);
  expect(again.exitCode, again.stderr).toBe(0);
  const [record] = again.records() as unknown as { status: string; resumedFrom: number; size: number }[];
  expect(record).toMatchObject({ status: 'sent', size: 6 * MIB });
  expect(record?.resumedFrom).toBeGreaterThan(0);
  expect(await sentBy(id)).toMatchObject([{ state: 'complete', size: 6 * MIB }]);
});

test('what was sent is not sent again: it counts once, unless it is deleted, changed, or meant by another name', async () => {
  const { id, url } = await request('twice', '--max-files', '4');
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  await friend.makeFile('a.txt', Buffer.from('high water'));
  const status = async (...more: string[]): Promise<string | undefined> => {
    const run = await friend.run(['upload', '--to', url, 'a.txt', '--json', ...more]);
    expect(run.exitCode, run.stderr).toBe(0);
    return (run.records() as unknown as { status: string }[])[0]?.status;
  };
  expect(await status()).toBe('sent');
  expect(await status()).toBe('present');
  const plain = await friend.run(['upload', '--to', url, 'a.txt']);
  expect([plain.exitCode, plain.stderr]).toEqual([0, expect.stringContaining('was sent by this link before')]);
  expect(await sentBy(id)).toHaveLength(1);
  expect(await status('--name', 'b.txt')).toBe('sent');
  expect(await status('--name', 'b.txt')).toBe('present');
  expect((await anna.run(['delete', 'twice/b.txt'], OWNER)).exitCode).toBe(0);
  expect(await status('--name', 'b.txt')).toBe('sent');
  await friend.makeFile('a.txt', Buffer.from('low water'));
  expect(await status()).toBe('sent');
});

test('who sent a file is told by info', async () => {
  const { url } = await request('told');
  const anna = await makeClient(service.url);
  const friend = await makeFriend();
  await friend.makeFile('told.txt', Buffer.from('told'));
  const args = ['upload', '--to', url, 'told.txt', '--sender', 'Bob', '--note', 'as promised'];
  expect((await friend.run(args)).exitCode).toBe(0);
  const info = await anna.run(['info', 'told/told.txt'], OWNER);
  expect(info.stdout).toMatch(/^sent by +Bob$/m);
  expect(info.stdout).toMatch(/^note +as promised$/m);
});

test('what does not fit is said in plain words', async () => {
  const friend = await makeFriend();
  await friend.makeFile('a.txt', Buffer.from('high water'));
  const { url } = await request('typed', '--types', '.pdf,image/*', '--password-file', 'password');
  const locked = await friend.run(['upload', '--to', url, 'a.txt']);
  expect([locked.exitCode, locked.stderr]).toEqual([2, expect.stringContaining('--password-file')]);
  await writeFile(join(friend.folder, 'password'), 'the moon pulls\n');
  const typed = await friend.run(['upload', '--to', url, 'a.txt', '--password-file', 'password']);
  expect([typed.exitCode, typed.stderr]).toEqual([1, expect.stringContaining('.pdf, image/*')]);
  const got = await friend.run(['get', url, '--password-file', 'password']);
  expect([got.exitCode, got.stderr]).toEqual([1, expect.stringContaining('by this link files are sent')]);
  const none = await friend.run(['upload', '--to', `${service.url}/s/${'x'.repeat(32)}`, 'a.txt']);
  expect([none.exitCode, none.stderr]).toEqual([1, expect.stringContaining('there is no such link')]);
  for (const more of [['--replace'], ['--streams', '2']])
    expect((await friend.run(['upload', '--to', url, 'a.txt', ...more])).exitCode).toBe(2);
  expect((await friend.run(['upload', 'a.txt', '--note', 'x'])).exitCode).toBe(2);
});
