import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { bearer, json, putFile, type Stored } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');

let service: RunningService;
let stored: Stored;
let cookie: string;
beforeAll(async () => {
  service = await startService({
    env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', TRUST_PROXY: 'loopback' },
  });
  stored = await putFile(service.url, 'for anna', { filename: 'anna.txt' }, ANNA);
  cookie = await ticket(ANNA);
});
afterAll(() => service.stop());

async function ticket(who: Record<string, string>): Promise<string> {
  const answer = await send('POST', `${service.url}/api/ticket`, { headers: who });
  expect([answer.status, json(answer)]).toEqual([200, { expiresInSeconds: 3_600 }]);
  return (answer.headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? '';
}

describe('tickets', () => {
  test('a ticket opens its owner files, in ranges, and says nothing of the secret', async () => {
    expect(cookie).not.toContain('secret');
    const answer = await send('GET', stored.url, { headers: { Cookie: cookie, Range: 'bytes=4-7' } });
    expect([answer.status, answer.body]).toEqual([206, 'anna']);
    expect(answer.headers['cross-origin-resource-policy']).toBe('same-origin');
    const byContent = await send('GET', `${service.url}/files/${md5(Buffer.from('for anna'))}`, {
      headers: { Cookie: cookie },
    });
    expect([byContent.status, byContent.body]).toEqual([200, 'for anna']);
    const berts = await ticket(BERT);
    expect((await send('GET', stored.url, { headers: { Cookie: berts } })).status).toBe(404);
  });

  test('it opens archives of its owner, by GET and by a form', async () => {
    const headers = { Cookie: cookie };
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const berts = { Cookie: await ticket(BERT) };
    const url = `${service.url}/api/archive`;
    for (const [who, status] of [
      [headers, 200],
      [berts, 404],
      [{}, 401],
      [{ ...headers, 'Sec-Fetch-Site': 'same-site' }, 401],
    ] as const) {
      expect((await send('GET', `${url}?id=${stored.fileId}`, { headers: who })).status).toBe(status);
      const posted = await send('POST', url, { headers: { ...who, ...form }, body: `id=${stored.fileId}` });
      expect(posted.status).toBe(status);
    }
  });

  test('its cookies are for addresses of files, out of reach of scripts and of other sites', async () => {
    const answer = await send('POST', `${service.url}/api/ticket`, {
      headers: {
        ...ANNA,
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'files.example',
        'X-Forwarded-Prefix': '/tide',
      },
    });
    const attributes = 'Max-Age=3600; HttpOnly; SameSite=Strict; Secure';
    const [first = '', second = '', third = ''] = answer.headers['set-cookie'] ?? [];
    const [value = ''] = first.split(';', 1);
    expect(value).toMatch(/^tidemark_ticket=\S+$/);
    expect(first).toBe(`${value}; Path=/tide/files/; ${attributes}`);
    expect(second).toBe(`${value}; Path=/tide/api/files/; ${attributes}`);
    expect(third).toBe(`${value}; Path=/tide/api/archive; ${attributes}`);
    expect(answer.headers['set-cookie']).toHaveLength(3);
  });

  test('DELETE removes its cookies by the attributes with which they were set', async () => {
    const forwarded = {
      ...ANNA,
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'f.example',
      'X-Forwarded-Prefix': '/t',
    };
    const answer = await send('DELETE', `${service.url}/api/ticket`, { headers: forwarded });
    expect(answer.status).toBe(204);
    expect(answer.headers['set-cookie']).toEqual([
      'tidemark_ticket=; Path=/t/files/; Max-Age=0; HttpOnly; SameSite=Strict; Secure',
      'tidemark_ticket=; Path=/t/api/files/; Max-Age=0; HttpOnly; SameSite=Strict; Secure',
      'tidemark_ticket=; Path=/t/api/archive; Max-Age=0; HttpOnly; SameSite=Strict; Secure',
    ]);
  });

  test('it opens nothing else', async () => {
    for (const [method, path] of [
      ['GET', '/api/files'],
      ['GET', `/api/files/${stored.fileId}`],
      ['PATCH', `/api/files/${stored.fileId}`],
      ['DELETE', `/api/files/${stored.fileId}`],
      ['DELETE', `/api/files/${stored.fileId}/content`],
      ['GET', '/file/query'],
      ['GET', '/api/events'],
      ['POST', '/uploads'],
      ['POST', '/api/ticket'],
      ['DELETE', '/api/ticket'],
      ['GET', new URL(stored.upload).pathname],
    ] as const) {
      expect((await send(method, service.url + path, { headers: { Cookie: cookie } })).status, path).toBe(401);
    }
  });

  test.each([
    ['of another site', { 'Sec-Fetch-Site': 'cross-site' }, 401],
    ['of another port of this host', { 'Sec-Fetch-Site': 'same-site' }, 401],
    ['of the page', { 'Sec-Fetch-Site': 'same-origin' }, 200],
    ['typed by hand', { 'Sec-Fetch-Site': 'none' }, 200],
  ])('a request %s', async (_, headers, status) => {
    expect((await send('GET', stored.url, { headers: { Cookie: cookie, ...headers } })).status).toBe(status);
  });

  test('a forged or expired ticket opens nothing', async () => {
    const [name, value = ''] = cookie.split('=', 2);
    const [expires = '', owner = '', signature = ''] = value.split('.');
    for (const forged of [
      `${Number(expires) + 1}.${owner}.${signature}`,
      `${expires}.${Buffer.from('bert').toString('base64url')}.${signature}`,
      `1.${owner}.${signature}`,
      `${expires}.${owner}.`,
      `${expires}.${owner}.${signature}x`,
      'NaN',
      'Infinity..',
      '',
    ]) {
      const answer = await send('GET', stored.url, { headers: { Cookie: `${name}=${forged}` } });
      expect(answer.status, forged).toBe(401);
    }
  });

  test('a service without tokens gives no ticket', async () => {
    const open = await startService({});
    try {
      const answer = await send('POST', `${open.url}/api/ticket`);
      expect([answer.status, json(answer)]).toEqual([200, { expiresInSeconds: null }]);
      expect(answer.headers).not.toHaveProperty('set-cookie');
    } finally {
      await open.stop();
    }
  });
});
