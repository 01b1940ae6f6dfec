/** Requests that are cheap to send and must be cheap to answer: what is unbounded in them is refused by number, not by time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH: 'off', TRUST_PROXY: 'loopback' } });
});
afterAll(() => service.stop());

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
