/** Names that a service without tokens answers to: DNS rebinding is a page whose own name points here. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, send, TUS } from '../harness/tus.ts';
import { bearer, filePart, json, putFile, raw, sendForm, type Stored } from './support.ts';

const OTHERS = [
  'evil.example',
  'evil.example:8080',
  'tidemark',
  'nas.local',
  '127.0.0.1.evil.example',
  'localhost.example',
  '0x7f.1.example',
  'a b',
];

describe('without tokens', () => {
  let service: RunningService;
  let proxied: RunningService;
  let file: Stored;
  beforeAll(async () => {
    [service, proxied] = await Promise.all([
      startService({ env: { HOST: 'Files.Example.org' } }),
      startService({
        env: { AUTH: 'off', PUBLIC_URL: 'https://tide.example/x', TRUST_PROXY: 'loopback', CORS_ORIGINS: '*' },
      }),
    ]);
    file = await putFile(service.url, 'private', { filename: 'x.txt' });
  });
  afterAll(() => Promise.all([service.stop(), proxied.stop()]));

  /** Every route, as a page can ask for it. */
  function askAll(Host: string): Promise<Answer[]> {
    const paths = [
      ['GET', '/'],
      ['GET', '/file/upload'],
      ['GET', '/assets/x.js'],
      ['GET', '/nowhere'],
      ['GET', '/check?md5=x'],
      ['GET', '/api/files'],
      ['GET', `/api/files/${file.fileId}`],
      ['PATCH', `/api/files/${file.fileId}`],
      ['DELETE', `/api/files/${file.fileId}`],
      ['HEAD', '/api/events'],
      ['POST', '/api/ticket'],
      ['GET', new URL(file.url).pathname],
      ['GET', new URL(file.upload).pathname],
      ['HEAD', new URL(file.upload).pathname],
      ['POST', '/uploads'],
      ['PATCH', new URL(file.upload).pathname],
      ['DELETE', new URL(file.upload).pathname],
      ['OPTIONS', '/uploads'],
      ['GET', '/file/meta?filehash=x'],
      ['GET', '/file/query'],
      ['POST', '/file/update'],
      ['POST', '/file/delete'],
      ['GET', `/file/download?filehash=${md5(Buffer.from('private'))}`],
    ] as const;
    return Promise.all(paths.map(([method, path]) => send(method, service.url + path, { headers: { ...TUS, Host } })));
  }

  test.each(OTHERS)('nothing answers to %s, and the refusal says what to set', async (Host) => {
    for (const answer of await askAll(Host)) {
      expect(answer.status).toBe(421);
      expect(answer.headers).not.toHaveProperty('location');
      if (answer.body === '') continue;
      expect(answer.code).toBe('unknown_host');
      expect(answer.body).toMatch(/HOST or PUBLIC_URL .*AUTH_TOKENS/);
    }
    const form = await sendForm(`${service.url}/upload`, [[filePart('evil.txt'), 'evil']], { Host });
    expect([form.status, form.code]).toEqual([421, 'unknown_host']);
    expect(json<{ files: unknown[] }>(await send('GET', `${service.url}/api/files`)).files).toHaveLength(1);
  });

  test('an address in the place of the path is a name, too', async () => {
    const answer = await raw(
      service,
      'GET http://evil.example/api/files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 421 /);
  });

  test.each([
    '127.0.0.1:1',
    '192.168.1.9:8080',
    '10.1.2.3',
    '[::1]:8080',
    '[fe80::1]',
    'localhost:8080',
    'LOCALHOST',
    'localhost.',
    'tide.localhost:99',
    'files.example.org',
    'FILES.example.org.:8080',
  ])('it answers to %s', async (Host) => {
    expect((await send('GET', `${service.url}/api/files`, { headers: { Host } })).status).toBe(200);
    // Forwarded headers do not count where no proxy is expected.
    const headers = { Host, 'X-Forwarded-Host': 'evil.example' };
    expect((await send('GET', `${service.url}/api/files`, { headers })).status).toBe(200);
  });

  test('probes are answered by any name', async () => {
    for (const path of ['/healthz', '/readyz']) {
      expect((await send('GET', service.url + path, { headers: { Host: 'pod-7.cluster' } })).status).toBe(200);
    }
    expect(await raw(service, 'GET /api/files HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  test('behind a proxy both names count: Host and the forwarded one', async () => {
    for (const [headers, status] of [
      [{ Host: 'tide.example' }, 200],
      [{ Host: '127.0.0.1:8080', 'X-Forwarded-Host': 'tide.example' }, 200],
      [{ Host: '127.0.0.1:8080', 'X-Forwarded-Host': 'evil.example' }, 421],
      [{ Host: '127.0.0.1:8080', Forwarded: 'for=192.0.2.1;host=evil.example' }, 421],
      // A page that reaches the service past its proxy may send what it likes, but for Host.
      [{ Host: 'evil.example', 'X-Forwarded-Host': 'tide.example' }, 421],
      [{ Host: 'evil.example' }, 421],
    ] as const) {
      const answer = await send('GET', `${proxied.url}/api/files`, { headers });
      expect(answer.status, JSON.stringify(headers)).toBe(status);
    }
  });
});

test('with tokens it answers to any name', async () => {
  const service = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1' } });
  try {
    for (const Host of OTHERS.filter((name) => !name.includes(' '))) {
      const headers = { Host, ...bearer('annas-secret-1') };
      expect((await send('GET', `${service.url}/api/files`, { headers })).status, Host).toBe(200);
    }
  } finally {
    await service.stop();
  }
});
