/** Links: made by owners, opened by anyone who has the address, for so many downloads, so long, and with a password. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreatedLinkJson, LinkJson, LinkPageJson, NewLinkJson, SharedJson } from '../../server/wire/links.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { CHEAP_PASSWORDS } from '../harness/cheap-passwords.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, send } from '../harness/tus.ts';
import { readZip } from '../harness/zip-readers.ts';
import { bearer, json, putFile, type Stored } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const JSON_TYPE = { 'Content-Type': 'application/json' };
const BROWSER = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const PASSWORD = 'Überraschung 42';

const LARGE = makeBytes(300_000, 7_100);

let service: RunningService;
let small: Stored;
let large: Stored;
beforeAll(async () => {
  service = await startService({
    env: {
      ...CHEAP_PASSWORDS,
      AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2',
      LOG_LEVEL: 'trace',
    },
  });
  small = await putFile(service.url, 'for friends', { filename: 'small & <b>.txt' }, ANNA);
  large = await putFile(service.url, LARGE, { filename: 'large.bin' }, ANNA);
});
afterAll(() => service.stop());

const secrets: string[] = [];

async function make(given: Partial<NewLinkJson> = {}, who = ANNA): Promise<CreatedLinkJson> {
  const body = JSON.stringify({ files: [small.fileId, large.fileId], ...given });
  const answer = await send('POST', `${service.url}/api/links`, { headers: { ...who, ...JSON_TYPE }, body });
  expect(answer.status, answer.body).toBe(201);
  const made = json<CreatedLinkJson>(answer);
  secrets.push(made.url.slice(made.url.lastIndexOf('/') + 1));
  return made;
}

async function listed(id: string, who = ANNA): Promise<LinkJson | undefined> {
  const { links } = json<LinkPageJson>(await send('GET', `${service.url}/api/links?limit=1000`, { headers: who }));
  return links.find((link) => link.id === id);
}

function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return send('GET', url, { headers });
}

/** What a browser would send back of the cookies of an answer. */
function cookiesOf(answer: Answer): Record<string, string> {
  return { Cookie: (answer.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';', 1)[0]).join('; ') };
}

/** The refusals in the log that are about a link. */
function logged(id: string): (string | undefined)[] {
  const lines = service.output().split('\n');
  return lines.filter((line) => line.includes(`"linkId":"${id}"`)).map((line) => /"code":"(\w+)"/.exec(line)?.[1]);
}

function tryPassword(url: string, password: string): Promise<Answer> {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  return send('POST', url, { headers, body: new URLSearchParams({ password }).toString() });
}

describe('a link', () => {
  test('opens its files to anyone who has it, in their order, with what proves them', async () => {
    const { url, ...link } = await make({ name: 'For friends' });
    expect(link).toEqual({
      id: expect.any(String),
      kind: 'download',
      state: 'active',
      name: 'For friends',
      files: 2,
      folders: 0,
      firstFile: 'small & <b>.txt',
      firstFolder: null,
      createdAt: expect.any(String),
      expiresAt: null,
      hasPassword: false,
      downloads: 0,
      mostDownloads: null,
      lastUsedAt: null,
    });
    const answer = await get(url);
    expect(json(answer)).toEqual({
      name: 'For friends',
      expiresAt: null,
      downloadsLeft: null,
      size: 11 + LARGE.length,
      files: [
        {
          position: 1,
          name: 'small & <b>.txt',
          size: 11,
          md5: md5(Buffer.from('for friends')),
          type: 'text/plain',
          url: `${url}/files/1`,
        },
        {
          position: 2,
          name: 'large.bin',
          size: LARGE.length,
          md5: md5(LARGE),
          type: 'application/octet-stream',
          url: `${url}/files/2`,
        },
      ],
      folders: [],
      archiveUrl: `${url}/archive`,
    });
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-robots-tag': 'noindex, nofollow',
      vary: expect.stringContaining('Accept'),
    });
    const file = await get(`${url}/files/1`, { Range: 'bytes=4-6' });
    expect([file.status, file.body]).toEqual([206, 'fri']);
    const saved = await get(`${url}/files/1?download`);
    expect([saved.status, saved.body]).toEqual([200, 'for friends']);
    expect(saved.headers).toMatchObject({
      'cache-control': 'private, no-cache',
      'content-disposition': 'attachment; filename="small & <b>.txt"',
      'referrer-policy': 'no-referrer',
      'x-robots-tag': 'noindex, nofollow',
    });
    expect((await get(`${url}/files/1`, { 'If-None-Match': saved.headers.etag ?? '' })).status).toBe(304);
    const archive = await get(`${url}/archive`);
    expect([archive.status, archive.headers['content-disposition']]).toEqual([
      200,
      'attachment; filename="For friends.zip"',
    ]);
    expect(await listed(link.id)).toMatchObject({ downloads: 2, lastUsedAt: expect.any(String) });
  });

  test('tells nothing by which its files could be had in another way, and leaves no secret behind', async () => {
    const { url, id } = await make();
    const secret = url.slice(url.lastIndexOf('/') + 1);
    expect(Buffer.from(secret, 'base64url')).toHaveLength(24);
    const page = await get(url, BROWSER);
    for (const text of [(await get(url)).body, page.body, JSON.stringify(page.headers)]) {
      for (const hidden of [small.fileId, large.fileId, 'anna', id]) expect(text).not.toContain(hidden);
    }
    await get(`${url}/files/1`);
    await get(`${url}/nowhere`);
    for (const typed of ['/S/', '/s//', '//s/', '/%73/', '/s%2F', '/below/s/'])
      expect((await get(url.replace('/s/', typed))).status, typed).toBeGreaterThan(400);
    await get(url, { 'X-Request-Id': 'last-of-all' });
    await expect.poll(() => service.output()).toContain('last-of-all');
    for (const each of secrets) expect(service.output()).not.toContain(each);
    expect(service.output()).toContain('/s/<secret>/files/1');
    expect(service.output()).toContain(`"linkId":"${id}"`);
    for (const name of await readdir(service.dataDir)) {
      if (!name.startsWith('catalog')) continue;
      expect(await readFile(join(service.dataDir, name), 'latin1'), name).not.toContain(secret);
    }
  });

  test.each([
    ['one file', ['clients/ACME lawsuit/offer.pdf'], ['offer.pdf']],
    [
      'a folder',
      ['clients/ACME/a.txt', 'clients/ACME/b/a.txt', 'clients/ACMEx/c'],
      ['ACME/a.txt', 'ACME/b/a.txt', 'ACMEx/c'],
    ],
    ['files of one name', ['clients/x/n.txt', 'clients/y/n.txt'], ['x/n.txt', 'y/n.txt']],
  ])('shows nothing of the folders above what it has: %s', async (_, given, shown) => {
    const files: string[] = [];
    for (const [index, filename] of given.entries())
      files.push((await putFile(service.url, `bytes of ${shown[index]}`, { filename }, ANNA)).fileId);
    const { url } = await make({ files });
    const { files: listing } = json<SharedJson>(await get(url));
    expect(listing.map(({ name }) => name)).toEqual(shown);
    const archive = await fetch(`${url}/archive`);
    expect(readZip(Buffer.from(await archive.arrayBuffer())).map(({ name }) => name)).toEqual(shown);
    const answers = [await get(url, BROWSER), await get(`${url}/files/1?download`)];
    for (const { body, headers } of answers) expect(JSON.stringify([body, headers])).not.toContain('clients');
  });

  test('outlives that a file is renamed; a deleted file leaves it, and the others keep their addresses', async () => {
    const [first, second] = [
      await putFile(service.url, 'one', { filename: 'one.txt' }, ANNA),
      await putFile(service.url, 'two', { filename: 'two.txt' }, ANNA),
    ];
    const { url, id } = await make({ files: [first.fileId, second.fileId, first.fileId] });
    await send('PATCH', `${service.url}/api/files/${second.fileId}`, {
      headers: { ...ANNA, ...JSON_TYPE },
      body: JSON.stringify({ name: 'second.txt' }),
    });
    await send('DELETE', `${service.url}/api/files/${first.fileId}`, { headers: ANNA });
    expect(json<SharedJson>(await get(url)).files.map(({ position, name }) => [position, name])).toEqual([
      [2, 'second.txt'],
    ]);
    expect((await get(`${url}/files/1`)).code).toBe('not_found');
    expect((await get(`${url}/files/2`)).body).toBe('two');
    await send('DELETE', `${service.url}/api/files/${second.fileId}`, { headers: ANNA });
    for (const path of ['', '/files/2', '/archive']) {
      const gone = await get(url + path);
      expect([gone.status, gone.code], path).toEqual([410, 'link_empty']);
    }
    expect(await listed(id)).toMatchObject({ state: 'empty', files: 0, firstFile: null });
  });

  test('is its owner’s: nobody else lists, changes or revokes it, or makes one to their files', async () => {
    const { id, url } = await make();
    expect(await listed(id, BERT)).toBeUndefined();
    const foreign = await send('POST', `${service.url}/api/links`, {
      headers: { ...BERT, ...JSON_TYPE },
      body: JSON.stringify({ files: [small.fileId] }),
    });
    expect([foreign.status, foreign.code]).toEqual([404, 'not_found']);
    for (const method of ['PATCH', 'DELETE']) {
      const answer = await send(method, `${service.url}/api/links/${id}`, {
        headers: { ...BERT, ...JSON_TYPE },
        body: '{"expiresIn":1}',
      });
      expect([answer.status, answer.code], method).toEqual([404, 'not_found']);
    }
    // What opens a link does not open what is its owner's.
    const secret = url.slice(url.lastIndexOf('/') + 1);
    expect((await get(`${service.url}/api/links`, bearer(secret))).status).toBe(401);
    expect((await get(`${service.url}/files/${md5(LARGE)}`, bearer(secret))).status).toBe(401);
  });

  test('that is revoked answers as one that never was, by every route', async () => {
    const { id, url } = await make({ password: PASSWORD, downloads: 5 });
    const unlocked = cookiesOf(await tryPassword(url, PASSWORD));
    const begun = await get(`${url}/files/1`, unlocked);
    expect(begun.status).toBe(200);
    const revoked = await send('DELETE', `${service.url}/api/links/${id}`, { headers: ANNA });
    expect(revoked.status).toBe(204);
    expect((await send('DELETE', `${service.url}/api/links/${id}`, { headers: ANNA })).status).toBe(404);
    expect(await listed(id)).toMatchObject({ state: 'revoked' });
    const never = `${service.url}/s/${'x'.repeat(32)}`;
    for (const tickets of [{}, unlocked, cookiesOf(begun)]) {
      for (const path of ['', '/files/1', '/files/9', '/archive']) {
        for (const accept of [{}, BROWSER]) {
          const headers = { ...tickets, ...accept, Range: 'bytes=1-' };
          const [gone, none] = [await get(url + path, headers), await get(never + path, headers)];
          expect([gone.status, withoutNonce(gone)]).toEqual([404, withoutNonce(none)]);
        }
      }
    }
    const [gone, none] = [await tryPassword(url, PASSWORD), await tryPassword(never, PASSWORD)];
    expect([gone.status, gone.body]).toEqual([404, none.body]);
  });

  test('expires, and its owner can make it last longer', async () => {
    const { id, url } = await make({ expiresIn: 1, downloads: 1 });
    const begun = await get(`${url}/files/2`);
    await expect.poll(async () => (await get(url)).code).toBe('link_expired');
    for (const path of ['', '/files/1', '/files/2', '/archive']) {
      const answer = await get(url + path, { ...cookiesOf(begun), Range: 'bytes=5-' });
      expect([answer.status, answer.code], path).toEqual([410, 'link_expired']);
    }
    expect(await listed(id)).toMatchObject({ state: 'expired' });
    await expect.poll(() => logged(id)).toContain('link_expired');
    const longer = await send('PATCH', `${service.url}/api/links/${id}`, {
      headers: { ...ANNA, ...JSON_TYPE },
      body: JSON.stringify({ expiresAt: '2999-01-01T00:00:00Z', downloads: 2 }),
    });
    expect([longer.status, longer.code]).toEqual([400, 'invalid_field']);
    const right = await send('PATCH', `${service.url}/api/links/${id}`, {
      headers: { ...ANNA, ...JSON_TYPE },
      body: JSON.stringify({ expiresAt: new Date(Date.now() + 3_600_000).toISOString(), downloads: 2 }),
    });
    expect(json(right)).toMatchObject({ state: 'active', mostDownloads: 2 });
    expect((await get(`${url}/files/1`)).status).toBe(200);
  });
});

function withoutNonce({ body }: Answer): string {
  return body.replaceAll(/nonce="[^"]*"|\/s\/[\w-]{32}/g, '');
}

describe('a link for 3 downloads', () => {
  test('50 at once: 3', async () => {
    const { id, url } = await make({ downloads: 3 });
    const paths = ['/files/1', '/files/2?download', '/archive', '/files/1?preview', '/files/1?preview=text'];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => get(url + paths[index % paths.length], index % 2 ? {} : BROWSER)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 410]));
    expect(await listed(id)).toMatchObject({ state: 'used_up', downloads: 3 });
    const after = await get(url);
    expect([after.status, after.code]).toEqual([410, 'link_used_up']);
    await expect.poll(() => logged(id)).toContain('link_used_up');
  });

  test('a download that is resumed is one; without its ticket a part counts as another', async () => {
    const { id, url } = await make({ downloads: 3 });
    const first = await get(`${url}/files/2`, { Range: 'bytes=0-99' });
    expect(first.status).toBe(206);
    const ticket = cookiesOf(first);
    expect(first.headers['set-cookie']?.[0]).toMatch(
      /^tidemark_link=[\w.-]+; Path=\/s\/[\w-]{32}\/files\/2; Max-Age=86400; HttpOnly; SameSite=Lax$/,
    );
    for (const range of ['bytes=100-', 'bytes=-5', 'bytes=0-'])
      expect((await get(`${url}/files/2`, { ...ticket, Range: range })).status).toBe(206);
    expect(await listed(id)).toMatchObject({ downloads: 1 });
    // Of another file, of another link, made up: no ticket.
    const other = await make({ downloads: 3 });
    expect((await get(`${url}/files/1`, { ...ticket, Range: 'bytes=1-' })).status).toBe(206);
    expect((await get(`${other.url}/files/2`, { ...ticket, Range: 'bytes=1-' })).status).toBe(206);
    expect(await listed(other.id)).toMatchObject({ downloads: 1 });
    const forged = { Cookie: `tidemark_link=${Date.now() + 1e6}.${'A'.repeat(43)}` };
    expect((await get(`${url}/files/2`, { ...forged, Range: 'bytes=1-' })).status).toBe(206);
    expect(await listed(id)).toMatchObject({ downloads: 3, state: 'used_up' });
    // What has begun goes on; nothing new begins.
    const rest = await get(`${url}/files/2`, { ...ticket, Range: 'bytes=299990-' });
    expect([rest.status, rest.headers['content-length']]).toEqual([206, '10']);
    expect((await get(`${url}/files/2`, ticket)).code).toBe('link_used_up');
  });

  test('one of which not a byte was sent is none', async () => {
    const lost = await putFile(service.url, 'lost bytes', { filename: 'lost.txt' }, ANNA);
    const { id, url } = await make({ files: [lost.fileId], downloads: 1 });
    await rm(join(service.dataDir, 'files', `${md5(Buffer.from('lost bytes'))}.txt`));
    const answer = await get(`${url}/files/1`);
    expect([answer.status, answer.code, answer.headers['set-cookie']]).toEqual([500, 'content_damaged', undefined]);
    // Its bytes are opened after it was counted: nothing is sent, and the connection closed.
    await expect(get(`${url}/archive`)).rejects.toThrow(/socket hang up|ECONNRESET/);
    await expect.poll(() => listed(id)).toMatchObject({ downloads: 0, state: 'active' });
    await putFile(service.url, 'lost bytes', { filename: 'again.txt' }, ANNA);
    expect((await get(`${url}/files/1`)).body).toBe('lost bytes');
  });

  test('looking at it, HEAD, and what is refused or not modified count nothing', async () => {
    const { id, url } = await make({ downloads: 3 });
    for (const path of ['', '/files/1', '/archive']) {
      expect((await send('HEAD', url + path)).status).toBe(200);
      await get(url, BROWSER);
    }
    const { etag = '' } = (await send('HEAD', `${url}/files/1`)).headers;
    expect((await get(`${url}/files/1`, { 'If-None-Match': etag })).status).toBe(304);
    expect((await get(`${url}/files/1`, { 'If-Match': '"x"' })).status).toBe(412);
    expect((await get(`${url}/files/1`, { Range: 'bytes=500-' })).status).toBe(416);
    expect((await get(`${url}/files/3`)).status).toBe(404);
    expect(await listed(id)).toMatchObject({ downloads: 0 });
    // Of a link for any number, a preview is none.
    const free = await make();
    expect((await get(`${free.url}/files/1?preview`)).headers['set-cookie']).toBeUndefined();
    expect((await get(`${free.url}/files/2`, { Range: 'bytes=5-' })).status).toBe(206);
    expect(await listed(free.id)).toMatchObject({ downloads: 0 });
    expect((await get(`${free.url}/files/2`, { Range: 'bytes=0-' })).status).toBe(206);
    expect(await listed(free.id)).toMatchObject({ downloads: 1 });
  });
});

describe('a link with a password', () => {
  test('opens by it, and the ticket is for this link alone', async () => {
    const { url, ...link } = await make({ password: PASSWORD });
    expect(link).toMatchObject({ hasPassword: true });
    expect(JSON.stringify(link)).not.toContain('scrypt');
    for (const path of ['', '/files/1', '/files/9', '/archive']) {
      const shut = await get(url + path);
      expect([shut.status, shut.code], path).toEqual([403, 'password_required']);
      expect((await send('HEAD', url + path)).status).toBe(403);
    }
    const wrong = await tryPassword(url, 'überraschung 42');
    expect([wrong.status, wrong.code, wrong.headers['set-cookie']]).toEqual([403, 'wrong_password', undefined]);
    // The same letters, in another form.
    const right = await tryPassword(`${url}?lang=zh`, PASSWORD.normalize('NFD'));
    expect([right.status, right.headers.location]).toEqual([303, `${new URL(url).pathname}?lang=zh`]);
    expect(right.headers['set-cookie']?.[0]).toMatch(
      /^tidemark_link=[\w.-]+; Path=\/s\/[\w-]{32}; Max-Age=3600; HttpOnly; SameSite=Lax$/,
    );
    const ticket = cookiesOf(right);
    for (const path of ['', '/files/1', '/archive']) expect((await get(url + path, ticket)).status, path).toBe(200);
    const other = await make({ password: PASSWORD });
    expect((await get(other.url, ticket)).code).toBe('password_required');
    // A download that has begun can be continued without it.
    const begun = cookiesOf(await get(`${url}/files/2`, ticket));
    expect((await get(`${url}/files/2`, { ...begun, Range: 'bytes=9-' })).status).toBe(206);
    expect((await get(url, begun)).code).toBe('password_required');
    // Also from a page that tells nobody its address.
    const fromPage = { Origin: 'null', 'Content-Type': 'application/x-www-form-urlencoded' };
    const sent = await send('POST', url, { headers: fromPage, body: `password=${encodeURIComponent(PASSWORD)}` });
    expect(sent.status).toBe(303);
    expect((await send('POST', `${url}?password=${encodeURIComponent(PASSWORD)}`, { headers: fromPage })).code).toBe(
      'invalid_field',
    );
  });

  test('waits after ten wrong ones, also for the right one; others do not', async () => {
    const { id, url } = await make({ password: PASSWORD });
    const other = await make({ password: PASSWORD });
    const wrong = await Promise.all(Array.from({ length: 12 }, (_, index) => tryPassword(url, `wrong ${index}`)));
    expect(wrong.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      ...Array<number>(10).fill(403),
      429,
      429,
    ]);
    const right = await tryPassword(url, PASSWORD);
    expect([right.status, right.code]).toEqual([429, 'too_many_attempts']);
    const retryAfter = Number(right.headers['retry-after']);
    expect(retryAfter).toBeGreaterThan(800);
    expect(retryAfter).toBeLessThanOrEqual(900);
    expect((await tryPassword(other.url, PASSWORD)).status).toBe(303);
    for (const code of ['wrong_password', 'too_many_attempts']) await expect.poll(() => logged(id)).toContain(code);
  });

  test('that is refused as too many are being checked is no attempt; unknown links and owners do not wait', async () => {
    const three = [
      await make({ password: PASSWORD }),
      await make({ password: PASSWORD }),
      await make({ password: PASSWORD }),
    ];
    const tries = three.map(({ url }) => Promise.all(Array.from({ length: 10 }, () => tryPassword(url, 'wrong'))));
    // Fails where an owner is refused for that.
    const made = make({ password: PASSWORD });
    const none = await Promise.all(
      Array.from({ length: 30 }, () => tryPassword(`${service.url}/s/${'y'.repeat(32)}`, PASSWORD)),
    );
    expect(new Set(none.map(({ code }) => code))).toEqual(new Set(['not_found']));
    await made;
    const answers = await Promise.all(tries);
    expect(new Set(answers.flat().map(({ code }) => code))).toEqual(new Set(['wrong_password', 'passwords_busy']));
    expect(answers.flat().find(({ code }) => code === 'passwords_busy')).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5' },
    });
    for (const [index, { url }] of three.entries()) {
      const isBusy = answers[index]?.some(({ code }) => code === 'passwords_busy');
      expect((await tryPassword(url, PASSWORD)).status).toBe(isBusy ? 303 : 429);
    }
  });
});

test.each<[field: string, given: Record<string, unknown>, says: RegExp]>([
  ['files', { files: [] }, /at least one/],
  ['files', { files: 'x' }, /list of ids/],
  ['files', { files: [1] }, /list of ids/],
  ['files', { files: Array.from({ length: 1001 }, (_, index) => `${index}`) }, /at most 1000/],
  ['expiresIn', { expiresIn: 0 }, /whole number of seconds/],
  ['expiresIn', { expiresIn: 1.5 }, /whole number of seconds/],
  ['expiresIn', { expiresIn: '7d' }, /whole number of seconds/],
  ['expiresIn', { expiresIn: 1e12 }, /whole number of seconds/],
  ['expiresAt', { expiresAt: '2001-01-01T00:00:00Z' }, /still to come/],
  ['expiresAt', { expiresAt: 'tomorrow' }, /still to come/],
  ['expiresAt', { expiresAt: '2090-01-01T00:00:00' }, /still to come/],
  ['expiresAt', { expiresIn: 5, expiresAt: '2090-01-01T00:00:00Z' }, /do not go together/],
  ['password', { password: 'short' }, /6 to 256 characters/],
  ['password', { password: 5 }, /must be a text/],
  ['downloads', { downloads: 0 }, /whole number from 1/],
  ['downloads', { downloads: 1.5 }, /whole number from 1/],
  ['name', { name: '' }, /must not be empty/],
  ['name', { name: 'a\u0007' }, /control characters/],
  ['name', { name: 'x'.repeat(256) }, /at most 255/],
])('bad input: %s %j', async (field, given, says) => {
  const answer = await send('POST', `${service.url}/api/links`, {
    headers: { ...ANNA, ...JSON_TYPE },
    body: JSON.stringify({ files: [small.fileId], ...given }),
  });
  expect(answer.status).toBe(400);
  expect(json<{ error: object }>(answer).error).toMatchObject({
    code: 'invalid_field',
    field,
    message: expect.stringMatching(says),
  });
});

test('a browser gets pages, in the language that it asks for or the reader chose, and nothing of a name is markup', async () => {
  const { url } = await make({ name: '<i>"Hello" & more</i>', expiresIn: 60 });
  const page = await get(url, { ...BROWSER, 'Accept-Language': 'de, zh-TW;q=0.9, en;q=0.8' });
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'nonce-[\w+/=]{24}'; /);
  expect(page.body).toContain('<html lang="zh-Hans">');
  expect(page.body).toContain('&lt;i&gt;&quot;Hello&quot; &amp; more&lt;/i&gt;');
  expect(page.body).not.toContain('<i>');
  expect(page.body).toContain('small &amp; &lt;b&gt;.txt');
  expect(page.body).not.toContain('<script');
  const english = await get(`${url}?lang=en`, { ...BROWSER, 'Accept-Language': 'zh' });
  expect(english.body).toContain('<html lang="en">');
  const gone = await get(`${service.url}/s/nothing`, BROWSER);
  expect([gone.status, gone.headers['content-type'], gone.headers['cache-control']]).toEqual([
    404,
    'text/html; charset=utf-8',
    'no-store',
  ]);
  expect(gone.body).toContain('There is nothing here');
  const limited = await make({ downloads: 2 });
  expect((await get(limited.url, BROWSER)).body).not.toContain('<details>');
  const shut = await make({ password: PASSWORD });
  const form = await get(`${shut.url}/files/1?lang=zh`, BROWSER);
  expect(form.status).toBe(403);
  expect(form.body).toContain(`<form method="post" action="${new URL(shut.url).pathname}?lang=zh">`);
});

test('the beginning of a text is shown as characters, whatever its type', async () => {
  const page = '<script>alert(1)</script>';
  const file = await putFile(service.url, page, { filename: 'a.html' }, ANNA);
  const { url } = await make({ files: [file.fileId] });
  const shown = await get(`${url}/files/1?preview=text`);
  expect([shown.status, shown.body]).toEqual([200, page]);
  expect(shown.headers).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
  });
});
