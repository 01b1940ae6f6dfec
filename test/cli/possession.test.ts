/** INSTANT=all: the command proves to have a file that another owner has sent. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { bearer, putFile } from '../http/support.ts';
import { MIB, makeClient, makeInterceptor } from './support.ts';

const ANNA = bearer('annas-secret-1');
const AS_BERT = { TIDEMARK_TOKEN: 'berts-secret-2' };
let service: RunningService;
beforeAll(async () => {
  const AUTH_TOKENS = 'anna:annas-secret-1, bert:berts-secret-2';
  service = await startService({ env: { AUTH_TOKENS, INSTANT: 'all' } });
});
afterAll(() => service.stop());

test('what another owner has is instant; what nobody has, or is small, is sent', async () => {
  const requests: string[] = [];
  const url = await makeInterceptor(service.url, ({ method, url: path = '' }) => {
    requests.push(`${method} ${path.replace(/\?.*/, '')}`);
    return null;
  });
  const client = await makeClient(url);
  const [theirs, small] = [makeBytes(5 * MIB, 6_601), makeBytes(MIB, 6_602)];
  for (const bytes of [theirs, small]) await putFile(service.url, bytes, { filename: 'annas.bin' }, ANNA);
  const paths = [await client.makeFile('theirs.bin', theirs), await client.makeFile('new.bin', 3 * MIB)];

  const checked = await client.run(['check', '--json', ...paths, await client.makeFile('small.bin', small)], AS_BERT);
  expect(checked.records().map(({ status }) => status)).toEqual(['exists', 'notfound', 'exists']);

  requests.length = 0;
  const instant = await client.run(['upload', '--json', paths[0] ?? ''], AS_BERT);
  expect(instant.records()).toMatchObject([{ status: 'instant', sentBytes: 0, name: 'theirs.bin', md5: md5(theirs) }]);
  expect(requests).toEqual(['GET /check', 'POST /check']);

  requests.length = 0;
  const sent = await client.run(['upload', '--json', paths[1] ?? ''], AS_BERT);
  expect(sent.records()).toMatchObject([{ status: 'uploaded', sentBytes: 3 * MIB }]);
  expect(requests.slice(0, 3)).toEqual(['GET /check', 'POST /check', 'POST /uploads']);

  requests.length = 0;
  const quick = await client.run(['upload', '--json', `${client.folder}/small.bin`], AS_BERT);
  expect(quick.records()).toMatchObject([{ status: 'uploaded', sentBytes: MIB }]);
  expect(requests.slice(0, 2)).toEqual(['GET /check', 'POST /uploads']);
});

test('a proof that is refused on the way, or a challenge that asks for too much, costs no more than the sending', async () => {
  const bytes = makeBytes(3 * MIB, 6_603);
  await putFile(service.url, bytes, { filename: 'annas.bin' }, ANNA);
  let asked = 0;
  for (const challenge of [null, { token: 'x', ranges: [[0, bytes.length + 1]] }, { token: 'x', ranges: 7 }]) {
    const url = await makeInterceptor(service.url, ({ method, url: path = '' }) => {
      if (!path.startsWith('/check')) return null;
      if (method === 'GET') return challenge && { status: 200, body: { status: 'notfound', challenge } };
      asked++;
      return { status: 400, body: { error: { code: 'invalid_field', message: 'Too late.' } } };
    });
    const client = await makeClient(url);
    const result = await client.run(['upload', '--json', await client.makeFile('a.bin', bytes)], AS_BERT);
    expect(result.records()).toMatchObject([{ status: 'uploaded', sentBytes: bytes.length }]);
    // It would be, had the file fewer bytes than it should have.
    expect(result.stderr).not.toContain('sent as a stream');
  }
  expect(asked).toBe(1);
});
