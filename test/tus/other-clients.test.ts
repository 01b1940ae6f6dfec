/** What other clients, proxies and caches send, and a service has to understand. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { startService, type RunningService } from '../harness/service.ts';
import { createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { putFile, raw } from '../http/support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { IDLE_TIMEOUT: '600ms' } });
});
afterAll(() => service.stop());

/** Writes the head of a request, reads what comes, and sends the body once the service asks for it. */
function expecting(headers: string[], body: string): Promise<{ asked: boolean; answer: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1', () => {
      socket.write(
        `${[...headers, 'Host: localhost', 'Connection: close', 'Expect: 100-continue'].join('\r\n')}\r\n\r\n`,
      );
    });
    let answer = '';
    let asked = false;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.startsWith('HTTP/1.1 100')) return;
      asked = true;
      answer = answer.slice(answer.indexOf('\r\n\r\n') + 4);
      socket.write(body);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve({ asked, answer }));
  });
}

describe('the type of a body', () => {
  test('of a PATCH and of a POST may have a parameter', async () => {
    const location = await createUpload(service.url, 3);
    const type = 'application/offset+octet-stream; charset=utf-8';
    expect((await patch(location, 0, 'abc', { 'Content-Type': type })).status).toBe(204);
    const headers = { ...TUS, 'Upload-Length': '3', 'Content-Type': 'Application/Offset+Octet-Stream;charset=UTF-8' };
    const created = await send('POST', `${service.url}/uploads`, { headers, body: 'abd' });
    expect([created.status, created.headers['upload-offset']]).toEqual([201, '3']);
    const other = await patch(location, 0, 'abc', { 'Content-Type': 'text/plain; application/offset+octet-stream' });
    expect(other.status).toBe(415);
  });

  test('of a chunked POST may be missing where not a byte comes', async () => {
    const lines = ['POST /uploads HTTP/1.1', 'Host: localhost', 'Tus-Resumable: 1.0.0', 'Upload-Length: 3'];
    const top = [...lines, 'Transfer-Encoding: chunked', 'Connection: close'].join('\r\n');
    const empty = await raw(service, `${top}\r\n\r\n0\r\n\r\n`);
    expect(empty).toMatch(/^HTTP\/1\.1 201 /);
    const id = /^location: \S+\/uploads\/(\S+)/im.exec(empty)?.[1] ?? '';
    expect((await patch(`${service.url}/uploads/${id}`, 0, 'abe')).status).toBe(204);
    expect(await raw(service, `${top}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 415 /);
  });
});

describe('HEAD and GET of an upload', () => {
  test('HEAD without Tus-Resumable is that of the published bytes', async () => {
    const { upload } = await putFile(service.url, 'published', { filename: 'a.txt' });
    const answer = await send('HEAD', upload);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-length': '9', 'content-type': 'text/plain; charset=utf-8' });
    const unfinished = await send('HEAD', await createUpload(service.url, 3));
    expect([unfinished.status, unfinished.headers['tus-version']]).toEqual([412, '1.0.0']);
    expect((await send('HEAD', `${service.url}/uploads`)).status).toBe(405);
  });

  test('GET by a tus client, or by a cache in its place, tells where an upload stands', async () => {
    const location = await createUpload(service.url, 6, { filename: 'a.txt' });
    await patch(location, 0, 'abc');
    const answer = await send('GET', location, { headers: TUS });
    expect([answer.status, answer.body]).toEqual([200, '']);
    expect(answer.headers).toMatchObject({
      'upload-offset': '3',
      'upload-length': '6',
      'upload-metadata': encodeMetadata({ filename: 'a.txt' }),
      'tus-resumable': '1.0.0',
      'cache-control': 'no-store',
    });
    const refused = await send('GET', location);
    expect(refused).toMatchObject({ status: 404, body: expect.stringContaining('not_found') as string });
    expect(refused.headers).toMatchObject({ 'upload-offset': '3', 'upload-length': '6', 'cache-control': 'no-store' });
    await patch(location, 3, 'def');
    const published = await send('GET', location, { headers: TUS });
    expect([published.status, published.body, published.headers['upload-offset']]).toEqual([200, 'abcdef', '6']);
    const deferred = await send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Defer-Length': '1' } });
    const looked = await send('GET', deferred.headers.location ?? '', { headers: TUS });
    expect(looked.headers).toMatchObject({ 'upload-offset': '0', 'upload-defer-length': '1' });
  });
});

describe('Expect: 100-continue', () => {
  const create = ['POST /uploads HTTP/1.1', 'Tus-Resumable: 1.0.0', 'Content-Length: 3'];
  const type = 'Content-Type: application/offset+octet-stream';

  test('what the headers alone refuse is refused before the body is asked for', async () => {
    const { pathname } = new URL(await createUpload(service.url, 3));
    const writing = ['Tus-Resumable: 1.0.0', 'Content-Length: 3', type];
    for (const [status, headers] of [
      [400, [...create, type, 'Upload-Length: x']],
      [415, [...create, 'Upload-Length: 3', 'Content-Type: text/plain']],
      [404, ['PATCH /uploads/none HTTP/1.1', ...writing, 'Upload-Offset: 0']],
      [409, [`PATCH ${pathname} HTTP/1.1`, ...writing, 'Upload-Offset: 2']],
      [415, ['POST /upload HTTP/1.1', 'Content-Type: text/plain', 'Content-Length: 3']],
      [404, ['POST /nowhere HTTP/1.1', 'Content-Length: 3']],
    ] as const) {
      const { asked, answer } = await expecting([...headers], 'abc');
      expect([asked, answer.split(' ')[1]], headers.join(', ')).toEqual([false, String(status)]);
    }
  });

  test('what is taken is asked for, once', async () => {
    const { asked, answer } = await expecting([...create, type, 'Upload-Length: 3'], 'abf');
    expect([asked, answer.split(' ')[1]]).toEqual([true, '201']);
    expect(answer).toMatch(/^tidemark-file-url: /im);
    expect(answer).not.toContain('HTTP/1.1 100');
  });
});

test('a PATCH that falls silent is told 408, and what came of it is kept', async () => {
  const location = await createUpload(service.url, 1_000_000);
  const bytes = makeBytes(300_000, 8_001);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1', () => {
      const { pathname } = new URL(location);
      const lines = ['Host: localhost', 'Tus-Resumable: 1.0.0', 'Upload-Offset: 0', 'Content-Length: 1000000'];
      const type = 'Content-Type: application/offset+octet-stream';
      socket.write([`PATCH ${pathname} HTTP/1.1`, ...lines, type, '', ''].join('\r\n'));
      socket.write(bytes);
    });
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toMatch(/^tus-resumable: 1\.0\.0/im);
  expect(answer).toContain('"request_timeout"');
  await expect.poll(async () => (await head(location)).headers['upload-offset']).toBe('300000');
});

test('a POST of an empty file tells the file it became, as HEAD does', async () => {
  const headers = { ...TUS, 'Upload-Length': '0', 'Upload-Metadata': encodeMetadata({ filename: 'empty.txt' }) };
  const created = await send('POST', `${service.url}/uploads`, { headers });
  const told = {
    'tidemark-file-id': expect.any(String) as string,
    'tidemark-file-url': expect.stringMatching(/\/api\/files\/[\w-]+\/content$/) as string,
    'tidemark-file-name': 'empty.txt',
  };
  expect(created.headers).toMatchObject(told);
  expect((await head(created.headers.location ?? '')).headers).toMatchObject(told);
  const again = await patch(created.headers.location ?? '', 0, '');
  expect([again.status, again.headers]).toMatchObject([204, told]);
});

test.each(['parallel', 'final;/uploads/a /uploads/b'])(
  'Upload-Concat: %s with a length is 400, which no client tries again',
  async (kind) => {
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: { ...TUS, 'Upload-Concat': kind, 'Upload-Length': '3' },
    });
    expect([answer.status, answer.code]).toEqual([400, 'invalid_field']);
  },
);
