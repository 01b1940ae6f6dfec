import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { bearer, filePart, json, putFile, sendForm, type Stored } from './support.ts';

const FORWARDED = {
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'files.example.org',
  'X-Forwarded-Prefix': '/tide/',
};

const TOKENS = { AUTH_TOKENS: 'anna:annas-secret-1' };
const ANNA = bearer('annas-secret-1');

/** Addresses a service with TOKENS, which answers to any name, hands out for requests with these headers. */
async function addresses(service: RunningService, given: Record<string, string>): Promise<string[]> {
  const headers = { ...ANNA, ...given };
  const bytes = Buffer.from(JSON.stringify(headers));
  const created = await createUpload(service.url, bytes.length, {}, headers);
  const sent = await send('PATCH', service.url, {
    rawPath: `/uploads/${created.split('/').at(-1)}`,
    headers: { ...TUS, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream', ...headers },
    body: bytes,
  });
  const form = await sendForm(`${service.url}/upload`, [[filePart('x.txt'), bytes]], headers);
  const check = json(await send('GET', `${service.url}/check?md5=${md5(bytes)}`, { headers }));
  const listed = json<{ files: { url: string }[] }>(await send('GET', `${service.url}/api/files?limit=1`, { headers }));
  const meta = json(await send('GET', `${service.url}/file/meta?filehash=${md5(bytes)}`, { headers }));
  return [
    created,
    sent.headers['tidemark-file-url'],
    json(form)['url'],
    check['url'],
    listed.files[0]?.url,
    meta['Location'],
  ].map(String);
}

function expectBase(found: string[], base: string): void {
  for (const address of found)
    expect(address).toMatch(
      new RegExp(`^${base.replaceAll(/[.[\]]/g, '\\$&')}/(?:uploads/[^/]+|api/files/[^/]+/content)$`),
    );
}

describe('behind no proxy', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: TOKENS });
  });
  afterAll(() => service.stop());

  test('addresses are what the client called the service', async () => {
    expectBase(await addresses(service, {}), service.url);
    expectBase(await addresses(service, { Host: 'alias.local:8080' }), 'http://alias.local:8080');
    expectBase(await addresses(service, { Host: '[::1]:8080' }), 'http://[::1]:8080');
  });

  test('forwarding headers of just anyone are ignored', async () => {
    expectBase(await addresses(service, FORWARDED), service.url);
    expectBase(await addresses(service, { Forwarded: 'proto=https;host=evil.example' }), service.url);
  });

  test('an invalid Host is not repeated', async () => {
    expectBase(await addresses(service, { Host: 'evil.example/path?' }), service.url);
    expectBase(await addresses(service, { Host: 'evil.example:99999' }), service.url);
    expectBase(await addresses(service, { Host: '999.999.999.999' }), service.url);
  });
});

describe('behind a trusted proxy', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { ...TOKENS, TRUST_PROXY: 'loopback' } });
  });
  afterAll(() => service.stop());

  test('X-Forwarded-Proto, -Host and -Prefix count', async () => {
    expectBase(await addresses(service, FORWARDED), 'https://files.example.org/tide');
    expectBase(
      await addresses(service, { 'X-Forwarded-Proto': 'https', Host: 'kept.example' }),
      'https://kept.example',
    );
    expectBase(
      await addresses(service, { 'X-Forwarded-Proto': 'https, http', 'X-Forwarded-Host': 'a.example, b.example' }),
      'https://a.example',
    );
    expectBase(
      await addresses(service, { Forwarded: 'for=192.0.2.1;proto=https;host="f.example:8443"' }),
      'https://f.example:8443',
    );
  });

  test('forwarded values that make no address are ignored', async () => {
    expectBase(
      await addresses(service, { 'X-Forwarded-Host': 'a b"<x>', Host: 'kept.example' }),
      'http://kept.example',
    );
    expectBase(
      await addresses(service, { 'X-Forwarded-Proto': 'javascript', Host: 'kept.example' }),
      'http://kept.example',
    );
    expectBase(
      await addresses(service, { 'X-Forwarded-Prefix': '//evil.example/', Host: 'kept.example' }),
      'http://kept.example',
    );
  });

  test('the page of the older API leads on below the prefix', async () => {
    const answer = await sendForm(`${service.url}/file/upload`, [[filePart('x.txt'), 'x']], { ...ANNA, ...FORWARDED });
    expect(answer.headers.location).toBe('/tide/file/upload/suc');
  });
});

test('TRUST_PROXY of another address does not trust this one', async () => {
  const service = await startService({ env: { ...TOKENS, TRUST_PROXY: '10.0.0.0/8, 192.0.2.1' } });
  try {
    expectBase(await addresses(service, FORWARDED), service.url);
  } finally {
    await service.stop();
  }
});

describe('with PUBLIC_URL', () => {
  const PUBLIC = 'https://files.example.org/tide/mark';
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { ...TOKENS, PUBLIC_URL: `${PUBLIC}/`, TRUST_PROXY: 'loopback' } });
  });
  afterAll(() => service.stop());

  test('all addresses begin with it, whatever is forwarded', async () => {
    expectBase(await addresses(service, {}), PUBLIC);
    expectBase(await addresses(service, { ...FORWARDED, Host: 'other' }), PUBLIC);
  });

  test('requests come with the prefix or without', async () => {
    const { url } = await putFile(service.url, 'either way', { filename: 'x.txt' }, ANNA);
    const path = new URL(url).pathname;
    expect(path).toMatch(/^\/tide\/mark\/api\/files\//);
    for (const asked of [path, path.slice('/tide/mark'.length)]) {
      expect((await send('GET', service.url + asked, { headers: ANNA })).body).toBe('either way');
    }
    for (const [asked, status] of [
      ['/tide/mark/healthz', 200],
      ['/tide/mark', 200],
      ['/tide/marker/healthz', 404],
      ['/tide/mark/tide/mark/healthz', 404],
      ['/tide/healthz', 404],
    ] as const) {
      expect((await send('GET', service.url + asked, { headers: ANNA })).status, asked).toBe(status);
    }
  });

  test('a tus upload runs over the prefixed path', async () => {
    const created = await send('POST', `${service.url}/tide/mark/uploads`, {
      headers: { ...TUS, ...ANNA, 'Upload-Length': '6' },
    });
    const { location = '' } = created.headers;
    expect(location).toMatch(/^https:\/\/files\.example\.org\/tide\/mark\/uploads\/[\w-]+$/);
    const here = service.url + new URL(location).pathname;
    expect((await patch(here, 0, 'abc', ANNA)).status).toBe(204);
    expect((await head(here, ANNA)).headers['upload-offset']).toBe('3');
    const done = await patch(here.replace('/tide/mark', ''), 3, 'def', ANNA);
    expect(done.headers['tidemark-file-url']).toMatch(/^https:\/\/files\.example\.org\/tide\/mark\/api\/files\//);
  });
});

describe('other origins, with tokens', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1' } });
  });
  afterAll(() => service.stop());

  test.each(['/uploads', '/uploads/x', '/check', '/api/files/x', '/files/x', '/upload'])(
    '%s: a preflight is let through',
    async (path) => {
      const answer = await send('OPTIONS', service.url + path, {
        headers: {
          Origin: 'https://app.example',
          'Access-Control-Request-Method': 'PATCH',
          'Access-Control-Request-Headers': 'authorization,tus-resumable,upload-offset,content-type',
        },
      });
      expect([200, 204]).toContain(answer.status);
      expect(answer.headers['access-control-allow-origin']).toBe('*');
      // With a token in a header, not in a cookie, no credentials are to be sent along.
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
      const allowed = String(answer.headers['access-control-allow-headers']).toLowerCase().split(', ');
      expect(allowed).toEqual(
        expect.arrayContaining([
          'authorization',
          // Added by tools in the page.
          'baggage',
          'b3',
          'last-event-id',
          'newrelic',
          'request-context',
          'request-id',
          'sentry-trace',
          'traceparent',
          'tracestate',
          'x-datadog-origin',
          'x-datadog-parent-id',
          'x-datadog-sampling-priority',
          'x-datadog-trace-id',
          'content-type',
          'range',
          'tus-resumable',
          'upload-length',
          'upload-defer-length',
          'upload-metadata',
          'upload-offset',
          'x-http-method-override',
          'x-request-id',
        ]),
      );
      const methods = String(answer.headers['access-control-allow-methods']).split(', ');
      expect(methods).toEqual(expect.arrayContaining(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE']));
    },
  );

  test('answers and refusals may be read, with the headers that count', async () => {
    const authorized = { Authorization: 'Bearer annas-secret-1' };
    for (const [method, path, status, headers] of [
      ['GET', '/api/files', 401, {}],
      ['POST', '/uploads', 401, {}],
      ['GET', '/healthz', 200, {}],
      ['POST', '/uploads', 201, { ...TUS, ...authorized, 'Upload-Length': '1' }],
      ['HEAD', '/uploads/x', 404, { ...TUS, ...authorized }],
    ] as const) {
      const answer = await send(method, service.url + path, { headers: { Origin: 'https://app.example', ...headers } });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([status, '*']);
      const exposed = String(answer.headers['access-control-expose-headers']).split(', ');
      expect(exposed).toEqual(
        expect.arrayContaining([
          'Location',
          'Upload-Offset',
          'Upload-Length',
          'Upload-Metadata',
          'Upload-Expires',
          'Tus-Resumable',
          'Tus-Version',
          'Tidemark-File-Id',
          'Tidemark-File-Url',
          'Tidemark-Idle',
          'X-Request-Id',
          'Content-Range',
          'Content-Disposition',
          'ETag',
        ]),
      );
    }
  });
});

describe('other origins, without tokens', () => {
  const EVIL = { Origin: 'https://evil.example' };
  const FRIEND = { Origin: 'https://app.example' };
  let service: RunningService;
  let friendly: RunningService;
  let file: Stored;
  beforeAll(async () => {
    [service, friendly] = await Promise.all([
      startService({ env: { HOST: 'files.example' } }),
      startService({ env: { CORS_ORIGINS: 'https://app.example, http://localhost:5173' } }),
    ]);
    file = await putFile(service.url, 'private', { filename: 'x.txt' });
  });
  afterAll(() => Promise.all([service.stop(), friendly.stop()]));

  test('may neither read nor change anything', async () => {
    for (const origin of [EVIL, { Origin: 'null' }, { Origin: `${service.url}.evil.example` }, { Origin: '?' }]) {
      for (const [method, path, headers] of [
        ['GET', '/api/files', {}],
        ['GET', new URL(file.url).pathname, {}],
        ['HEAD', new URL(file.upload).pathname, TUS],
        ['DELETE', `/api/files/${file.fileId}`, {}],
        ['DELETE', new URL(file.upload).pathname, TUS],
        ['POST', '/uploads', { ...TUS, 'Upload-Length': '1' }],
        ['GET', `/check?md5=${md5(Buffer.from('private'))}&filename=y.txt`, {}],
      ] as const) {
        const answer = await send(method, service.url + path, { headers: { ...headers, ...origin } });
        expect([answer.status, answer.headers['access-control-allow-origin']], path).toEqual([403, undefined]);
        if (method !== 'HEAD') expect(answer.code).toBe('origin_not_allowed');
      }
      // What a page can send without a preflight.
      const form = await sendForm(`${service.url}/upload`, [[filePart('evil.txt'), 'evil']], origin);
      expect([form.status, form.code]).toEqual([403, 'origin_not_allowed']);
      const removal = await send('POST', `${service.url}/file/delete`, {
        headers: { ...origin, 'Content-Type': 'application/x-www-form-urlencoded' },
        body: `filehash=${md5(Buffer.from('private'))}`,
      });
      expect(removal.status).toBe(403);
      for (const path of ['/api/files/x', '/uploads', '/uploads/x']) {
        const preflight = await send('OPTIONS', service.url + path, {
          headers: { ...origin, 'Access-Control-Request-Method': 'DELETE' },
        });
        expect([200, 204]).toContain(preflight.status);
        expect(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
    }
    const { files } = json<{ files: unknown[] }>(await send('GET', `${service.url}/api/files`));
    expect(files).toHaveLength(1);
  });

  test('its own pages may, by whatever name and scheme they were opened', async () => {
    const { port } = new URL(service.url);
    for (const [Origin, Host] of [
      [service.url, new URL(service.url).host],
      [`http://localhost:${port}`, `localhost:${port}`],
      [`http://[::1]:${port}`, `[::1]:${port}`],
      ['https://files.example', 'files.example'],
      ['https://files.example', 'FILES.example'],
    ] as const) {
      const sent = await sendForm(`${service.url}/file/upload`, [[filePart('own.txt'), Origin]], { Origin, Host });
      expect(sent.status, Origin).toBe(302);
    }
    // Else a browser would send its form as of the origin "null".
    expect((await send('GET', `${service.url}/file/upload`)).headers['referrer-policy']).toBe('same-origin');
  });

  test('those of CORS_ORIGINS may, and nobody else', async () => {
    const allowed = await send('GET', `${friendly.url}/api/files`, { headers: FRIEND });
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      vary: expect.stringContaining('Origin'),
    });
    const preflight = await send('OPTIONS', `${friendly.url}/uploads/x`, { headers: FRIEND });
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': expect.stringContaining('PATCH'),
    });
    for (const Origin of ['https://evil.example', 'http://app.example', 'https://app.example:444', 'null']) {
      expect((await send('GET', `${friendly.url}/api/files`, { headers: { Origin } })).status, Origin).toBe(403);
    }
    // A cache must not give one origin's answer to another.
    expect((await send('GET', `${friendly.url}/api/files`)).headers.vary).toContain('Origin');
  });
});
