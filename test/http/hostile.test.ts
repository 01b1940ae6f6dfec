/** Requests that are cheap to send and must be cheap to answer: what is unbounded in them is refused by number, not by time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../support/service.ts';
import { send } from '../support/tus.ts';
import { json, sendForm } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH: 'off', TRUST_PROXY: 'loopback' } });
});
afterAll(() => service.stop());

const MANY = 'a&'.repeat(15_000);

test.each(['/check', '/api/files', '/file/meta', '/file/query', '/file/download'])(
  '%s: a query of 15,000 keys is refused before it is parsed',
  async (path) => {
    const answer = await send('GET', `${service.url}${path}?${MANY}md5=${'0'.repeat(32)}`);
    expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
    expect(answer.body).toContain('at most 100 parameters');
  },
);

test('so it is where a body comes along', async () => {
  const form = await sendForm(`${service.url}/upload?${MANY}`, []);
  expect([form.status, form.code]).toEqual([400, 'invalid_request']);
  const update = await send('POST', `${service.url}/file/update?${MANY}`, {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'x=1',
  });
  expect([update.status, update.code]).toEqual([400, 'invalid_request']);
});

test('parameters are read as browsers write them, the first of each', async () => {
  const ninety = Array.from({ length: 90 }, (_, index) => `k${index}=${index}`).join('&');
  const answer = await send('GET', `${service.url}/check?${ninety}&md5=${'A'.repeat(32)}&md5=x&size=&size=1`);
  expect(json(answer)).toMatchObject({ error: { field: 'size' } });
  const plus = await send('GET', `${service.url}/api/files?search=a+b%2Bc&__proto__=1&limit=%31`);
  expect(plus.status).toBe(200);
});

test('a prefix of slashes is none', async () => {
  const answer = await send('GET', `${service.url}/check?md5=${'0'.repeat(32)}`, {
    headers: { 'X-Forwarded-Prefix': `${'/'.repeat(20_000)}x` },
  });
  expect(json(answer)).toEqual({ status: 'notfound' });
});
