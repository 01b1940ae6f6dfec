/** Which page is the service's own, as proxies tell it, and what pages of other sites may send. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService, type RunningService } from '../harness/service.ts';
import { send, type Answer } from '../harness/tus.ts';
import { json } from './support.ts';

let service: RunningService;

function list(headers: Record<string, string>): Promise<Answer> {
  return send('GET', `${service.url}/api/files`, { headers });
}

describe('behind a proxy that is trusted', () => {
  beforeAll(async () => {
    service = await startService({ env: { AUTH: 'off', TRUST_PROXY: 'loopback' } });
  });
  afterAll(() => service.stop());

  async function location(headers: Record<string, string>): Promise<string> {
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '1', ...headers },
    });
    return (answer.headers.location ?? '').replace(/\/uploads\/.*/, '');
  }

  test.each([
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '8443', Host: 'f.localhost' }, 'https://f.localhost:8443'],
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '443', Host: 'f.localhost' }, 'https://f.localhost'],
    [{ 'X-Forwarded-Port': '8080', 'X-Forwarded-Host': 'f.localhost' }, 'http://f.localhost:8080'],
    // The host says it itself.
    [{ 'X-Forwarded-Port': '8080', 'X-Forwarded-Host': 'f.localhost:9090' }, 'http://f.localhost:9090'],
    // TLS ended at yet another proxy in front.
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '80', Host: 'f.localhost' }, 'https://f.localhost'],
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '99999', Host: 'f.localhost' }, 'https://f.localhost'],
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': 'x', Host: 'f.localhost:443' }, 'https://f.localhost'],
    [{ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '8443', Host: '[2001:db8::1]' }, 'https://[2001:db8::1]:8443'],
  ])('%j makes %s, whose page may use it', async (headers, base) => {
    expect(await location(headers as Record<string, string>)).toBe(base);
    expect((await list({ ...(headers as Record<string, string>), Origin: base })).status).toBe(200);
  });
});

describe('without settings', () => {
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test.each([
    ['f.localhost:443', 'https://f.localhost', 200],
    ['f.localhost', 'https://f.localhost', 200],
    ['f.localhost:80', 'http://f.localhost', 200],
    ['F.localhost:8080', 'http://f.localhost:8080', 200],
    ['f.localhost:443', 'http://f.localhost', 403],
    ['f.localhost:8443', 'https://f.localhost', 403],
    ['f.localhost', 'https://g.localhost', 403],
    ['f.localhost', 'null', 403],
  ])('Host: %s and Origin: %s is %i', async (Host, Origin, status) => {
    expect((await list({ Host, Origin })).status).toBe(status);
  });

  test('behind a proxy that passes another Host the page is there, and the refusal says what to set', async () => {
    const headers = { Host: 'backend.localhost:8080', Origin: 'https://files.example.org' };
    const page = await send('GET', `${service.url}/`, { headers });
    expect(page.status).toBe(200);
    const assets = [...page.body.matchAll(/="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '');
    expect(assets.length).toBeGreaterThan(1);
    for (const path of [...assets, '/file/upload']) {
      expect((await send('GET', service.url + path, { headers })).status, path).toBe(200);
    }
    const refused = await list(headers);
    expect([refused.status, refused.code]).toEqual([403, 'origin_not_allowed']);
    const { message } = json<{ error: { message: string } }>(refused).error;
    for (const word of [
      'https://files.example.org',
      'backend.localhost:8080',
      'PUBLIC_URL',
      'TRUST_PROXY',
      'CORS_ORIGINS',
    ]) {
      expect(message).toContain(word);
    }
    expect((await send('POST', `${service.url}/file/upload`, { headers })).status).toBe(403);
  });
});

test('further request headers and credentials are allowed where the settings say so', async () => {
  service = await startService({
    env: { CORS_ORIGINS: 'https://app.example', CORS_HEADERS: 'X-Tenant,X-CSRF-Token', CORS_CREDENTIALS: 'true' },
  });
  try {
    const ask = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' };
    const { headers } = await send('OPTIONS', `${service.url}/uploads`, { headers: ask });
    const allowed = String(headers['access-control-allow-headers']).split(', ');
    expect(allowed).toEqual(expect.arrayContaining(['X-Tenant', 'X-CSRF-Token', 'Upload-Concat', 'Upload-Checksum']));
    expect(headers['access-control-allow-credentials']).toBe('true');
    expect((await list({ Origin: 'https://app.example' })).headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
    });
    const other = await send('OPTIONS', `${service.url}/uploads`, { headers: { ...ask, Origin: 'https://b.example' } });
    expect(other.headers).not.toHaveProperty('access-control-allow-credentials');
  } finally {
    await service.stop();
  }
});
