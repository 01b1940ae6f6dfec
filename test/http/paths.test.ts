import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { send, TUS } from '../harness/tus.ts';
import { putFile, raw } from './support.ts';

let service: RunningService;
let outside: string;
beforeAll(async () => {
  // The data folder has neighbours that no client may reach.
  outside = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  await writeFile(join(outside, 'secret.txt'), 'outside of the data folder');
  await mkdir(join(outside, 'data'));
  service = await startService({ dataDir: join(outside, 'data') });
  await putFile(service.url, 'inside', { filename: 'inside.txt' });
});
afterAll(async () => {
  await service.stop();
  await rm(outside, { recursive: true });
});

const ROUTES = ['/uploads/', '/files/', '/api/files/', '/file/', '/check/', '/upload/', '/'];
const SEGMENTS = [
  '..',
  '../secret.txt',
  '../../secret.txt',
  '%2e%2e',
  '%2e%2e/secret.txt',
  '..%2fsecret.txt',
  '%2e%2e%2f%2e%2e%2fsecret.txt',
  '..%5csecret.txt',
  '..\\secret.txt',
  '%252e%252e%252fsecret.txt',
  '%c0%ae%c0%ae%c0%afsecret.txt',
  '%00',
  'a%00b',
  'secret.txt%00.bin',
  '%',
  '%zz',
  '%e6%bd',
  '%0d%0aX-Injected:%20yes',
  '.',
  './/',
  '//etc/passwd',
  'x'.repeat(20_000),
  '%2e%2e%2f'.repeat(2_000),
  'a/'.repeat(10_000),
];

/** The error that a raw answer tells. */
function errorIn(answer: string): { code: string; message: string } {
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  return (JSON.parse(body) as { error: { code: string; message: string } }).error;
}

describe('paths', () => {
  test.each(ROUTES)('below %s no path leads out of the data folder, and none causes a 500', async (route) => {
    for (const segment of SEGMENTS) {
      for (const method of ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'PUT']) {
        const headers = {
          ...TUS,
          ...(route === '/uploads/' && method === 'PATCH'
            ? { 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' }
            : {}),
          ...(route === '/api/files/' && method === 'PATCH' ? { 'Content-Type': 'application/json' } : {}),
        };
        const body = headers['Content-Type'] === 'application/json' ? '{"name":"x"}' : undefined;
        const answer = await send(method, service.url, {
          rawPath: route + segment,
          headers,
          ...(body ? { body } : {}),
        });
        const label = `${method} ${route}${segment.slice(0, 40)}`;
        // 405 and 415 where it comes to a route of another method or of a form.
        expect([400, 404, 405, 415], label).toContain(answer.status);
        expect(answer.body, label).not.toContain('outside of');
        expect(answer.headers, label).not.toHaveProperty('x-injected');
      }
    }
    expect(
      createHash('md5')
        .update(await readFile(join(outside, 'secret.txt')))
        .digest('hex'),
    ).toBe(createHash('md5').update('outside of the data folder').digest('hex'));
    expect((await readdir(outside)).toSorted()).toEqual(['data', 'secret.txt']);
    // Beside the one file, what marks the folder as that of this catalog.
    const stored = await readdir(join(outside, 'data', 'files'));
    expect(stored.filter((name) => !name.startsWith('.'))).toHaveLength(1);
  });

  test.each([
    ['path', `GET /files/${'x'.repeat(40_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['path, far', `GET /files/${'x'.repeat(5_000_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['header', `POST /uploads HTTP/1.1\r\nHost: localhost\r\nUpload-Metadata: note ${'YWFh'.repeat(10_000)}\r\n\r\n`],
  ])('a %s beyond the limit is 400, told as JSON', async (_, text) => {
    const answer = await raw(service, text);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(errorIn(answer)).toEqual({
      code: 'invalid_request',
      message: 'The request line and headers must be at most 32768 bytes long.',
    });
  });

  test.each(['http://[', 'http://[::1', 'http://', 'http://a:99999/healthz', 'HTTP://%zz/healthz', 'ftp://x/healthz'])(
    'the target %s is 400 and harms nobody',
    async (target) => {
      const answer = await raw(service, `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(errorIn(answer).code).toBe('invalid_request');
      expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
    },
  );

  test('the target http://xn--/healthz, which is an address to some versions of Node, does no harm', async () => {
    const answer = await raw(
      service,
      'GET http://xn--/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (200|400) /);
    expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
  });

  test.each(['//user@[#x', '//[/healthz'])('the target %j is a path like any other', async (target) => {
    const answer = await raw(service, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(errorIn(answer).code).toBe('not_found');
  });

  test('an address in the place of a path counts, and its host (RFC 9112 section 3.2.2)', async () => {
    const answer = await raw(
      service,
      'GET http://other.localhost:81/api/files?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"url":"http://other.localhost:81/api/files/');
  });

  test('a body that breaks the rules of HTTP is refused half-way', async () => {
    const answer = await raw(
      service,
      'POST /file/delete HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
        'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(errorIn(answer).code).toBe('invalid_request');
  });

  test.each([
    ['no HTTP', 'nonsense\r\n\r\n', 400],
    ['a NUL in the path', 'GET /files/a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['two lengths', 'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', 400],
    [
      'a length and chunks',
      'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['an asterisk', 'GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 404],
    [
      'an address',
      'GET http://localhost/files/../secret.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      404,
    ],
    ['a Host that is none', 'GET /api/files HTTP/1.1\r\nHost: a b"<>\r\nConnection: close\r\n\r\n', 421],
    ['a Host with a port that is none', 'GET /api/files HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n', 421],
  ])('%s', async (_, text, status) => {
    const answer = await raw(service, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).not.toContain('<>');
  });
});
