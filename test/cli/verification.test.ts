import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { putFile } from '../http/support.ts';
import { MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

let service: RunningService;
/** One that does not tell what it has: INSTANT=off. */
let off: RunningService;
beforeAll(async () => {
  [service, off] = await Promise.all([startService(), startService({ env: { INSTANT: 'off' } })]);
});
afterAll(() => Promise.all([service.stop(), off.stop()]));

test('success is reported only for the bytes that were sent', async () => {
  const url = await makeInterceptor(service.url, ({ method, url: path }) => {
    if (method !== 'GET' || path?.startsWith('/api/files/') !== true) return null;
    return { status: 200, body: { id: 'x', name: 'other', size: 3, md5: 'e'.repeat(32), url: 'x', uploadedAt: '' } };
  });
  const client = await makeClient(url);
  const result = await client.run(['upload', '--json', await client.makeFile('other.bin', MIB)]);
  expect(result.exitCode).toBe(1);
  expect(result.records()).toMatchObject([{ status: 'failed', error: { code: 'digest_differs' } }]);
});

test('a service that does not tell what it has (INSTANT=off)', async () => {
  const own = await startService({ env: { INSTANT: 'off', AUTH_TOKENS: 'alice:secret-of-alice-0123456789' } });
  onTestFinished(() => own.stop());
  const line = await makeLine(own.port, 3 * MIB);
  const client = await makeClient(line.url);
  const env = { TIDEMARK_TOKEN: 'secret-of-alice-0123456789' };
  const path = await client.makeFile('off.bin', 6 * MIB);
  const first = client.start(['upload', path], { env });
  await until(() => line.sentBytes() > 2 * MIB);
  first.signal('SIGKILL');
  await first.done;
  // What the line still holds does not arrive.
  line.cut();
  for (const round of [1, 2]) {
    const result = await client.run(['upload', '--json', path], env);
    expect({ round, records: result.records() }).toMatchObject({
      round,
      records: [{ status: 'uploaded', size: 6 * MIB }],
    });
  }
});

test('with INSTANT=off a lost answer costs a second sending, and no more', async () => {
  let lost = 0;
  const url = await makeInterceptor(off.url, ({ method }) => {
    if (method !== 'POST' || lost > 0) return null;
    lost += 1;
    return { answer: 'lost' };
  });
  const client = await makeClient(url);
  const result = await client.run(['upload', '--json', await client.makeFile('off-lost.bin', 100_000)]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: 100_000, sentBytes: 200_000 }]);
  expect(lost).toBe(1);
});

test('two clients with the same bytes at once both end well, and the bytes go over the line about once', async () => {
  const line = await makeLine(service.port, 3 * MIB);
  const client = await makeClient(line.url);
  const path = await client.makeFile('twice.bin', 8 * MIB);
  const other = await makeClient(line.url);
  const copy = await other.makeFile('copy.bin', await readFile(path));
  const first = client.start(['upload', '--json', path]);
  await until(() => line.sentBytes() > 3 * MIB);
  const second = other.start(['upload', '--json', copy]);
  const results = await Promise.all([first.done, second.done]);
  expect(results.map((result) => [result.exitCode, result.records()[0]?.status])).toEqual([
    [0, 'uploaded'],
    [0, 'instant'],
  ]);
  expect(line.sentBytes()).toBeLessThan(10 * MIB);
});
// Which files are listed has nothing to do with where bytes lie.
test('with INSTANT=off a published file is found behind a hundred newer ones of its name', async () => {
  const newer = Array.from({ length: 101 }, (_, index) => `newer ${index}`);
  let flood: Promise<void> | undefined;
  let isFlooded = false;
  async function sendNewer(): Promise<void> {
    await Promise.all(
      newer.map(async (text) => {
        const body = new FormData();
        body.set('file', new Blob([text]), 'name.bin');
        const answer = await fetch(`${off.url}/upload`, { method: 'POST', body });
        expect(await answer.json()).toMatchObject({ status: 'ok' });
      }),
    );
    isFlooded = true;
  }
  // The client cannot find the file by its id: until the newer ones are there, it has to ask again; then the list is left.
  const url = await makeInterceptor(off.url, ({ method, url: path }) => {
    if (method !== 'GET' || path?.startsWith('/api/files/') !== true) return null;
    flood ??= sendNewer();
    return { status: isFlooded ? 404 : 503, body: { error: { code: 'not_found', message: 'not here' } } };
  });
  const client = await makeClient(url);
  const result = await client.run(['upload', '--json', await client.makeFile('name.bin', 100_000)]);
  await flood;
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: 100_000 }]);
});

test.each([
  ['in a folder', 'found/in/name.bin', null, 'found/in/name.bin'],
  ['with a number', 'number.bin', 'number.bin', 'number (2).bin'],
  ['cleaned', 'a\\b.bin', null, 'a_b.bin'],
])('with INSTANT=off a published file is found by its name alone, %s', async (_, name, taken, published) => {
  if (taken !== null) await putFile(off.url, makeBytes(90, 646), { filename: taken });
  // As where the upload is forgotten by the time that the client asks for its file.
  const url = await makeInterceptor(off.url, ({ method }) => {
    if (method === 'POST') return { without: ['tidemark-file-id'] };
    return method === 'HEAD' ? { status: 404 } : null;
  });
  const client = await makeClient(url);
  const result = await client.run(['upload', '--json', '--name', name, await client.makeFile('local.bin', 50_000)]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', name: published }]);
});
