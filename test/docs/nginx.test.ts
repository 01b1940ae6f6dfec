/** Runs the nginx block of docs/operations.md in a real nginx, in front of a real service. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { type RequestOptions, request as httpsRequest } from 'node:https';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseDuration } from '../../server/config/units.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import type { RunningFront } from '../harness/front.ts';
import { NGINX, NGINX_MISSING, startNginx } from '../harness/nginx.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { encodeMetadata, head, TUS } from '../harness/tus.ts';

if (NGINX === undefined) console.warn(`skipped: ${NGINX_MISSING}`);

const NAME = 'files.example.org';
const TOKEN = 'a-secret-behind-nginx';
const HEADERS = { ...TUS, Authorization: `Bearer ${TOKEN}` };
const BYTES_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

const page = await readFile(fileURLToPath(new URL('../../../docs/operations.md', import.meta.url)), 'utf8');
const block = /^```nginx\n(.*?)^```$/ms.exec(page)?.[1] ?? '';

/** Starts nginx with the block, with the service at this port. */
function startBlock(servicePort: number, change = (config: string): string => config): Promise<RunningFront> {
  return startNginx(change(block).replaceAll('http://127.0.0.1:8080', `http://127.0.0.1:${servicePort}`));
}

/** Begins a request to nginx as a client of the service's name would. */
function begin(port: number, method: string, path: string, headers: Record<string, string> = {}): ClientRequest {
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    method,
    path,
    servername: NAME,
    rejectUnauthorized: false,
  };
  return httpsRequest({ ...options, agent: false, headers: { Host: NAME, ...headers } });
}

interface Got {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

async function ask(
  port: number,
  method: string,
  path: string,
  { headers = {}, body = Buffer.alloc(0) }: { headers?: Record<string, string>; body?: Buffer } = {},
): Promise<Got> {
  const request = begin(port, method, path, {
    ...headers,
    ...(body.length ? { 'Content-Length': `${body.length}` } : {}),
  });
  const [answer] = (await once(request.end(body), 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await buffer(answer) };
}

describe.skipIf(NGINX === undefined)('the nginx block of docs/operations.md', () => {
  let service: RunningService;
  let nginx: RunningFront;
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: `alice:${TOKEN}`, PUBLIC_URL: `https://${NAME}` } });
    nginx = await startBlock(service.port);
  });
  afterAll(async () => {
    await nginx.stop();
    await service.stop();
  });

  test('a long path in the head of an answer passes', async () => {
    const filename = `${`${'文'.repeat(85)}/`.repeat(15)}${'名'.repeat(80)}`;
    const path = await create(3, { filename });
    const headers = { ...HEADERS, ...BYTES_TYPE, 'Upload-Offset': '0' };
    const sent = await ask(nginx.port, 'PATCH', path, { headers, body: Buffer.from('abc') });
    expect([sent.status, sent.headers['tidemark-file-name']]).toEqual([204, encodeURIComponent(filename)]);
  });

  /** Creates an upload; its path. */
  async function create(length: number, metadata: Record<string, string>): Promise<string> {
    const { status, headers } = await ask(nginx.port, 'POST', '/uploads', {
      headers: { ...HEADERS, 'Upload-Length': `${length}`, 'Upload-Metadata': encodeMetadata(metadata) },
    });
    expect(status).toBe(201);
    expect(headers.location).toMatch(new RegExp(`^https://${NAME}/uploads/[\\w-]+$`));
    return new URL(headers.location ?? '').pathname;
  }

  test.each([
    ['a length', { 'Content-Length': '5000000' }],
    // nginx buffers these all the same where it speaks HTTP/1.0 to the service.
    ['chunks', { 'Transfer-Encoding': 'chunked' }],
  ])('has bytes of a body with %s stored as they come, and keeps them when the line breaks', async (kind, framing) => {
    const bytes = makeBytes(5_000_000, kind.length);
    const path = await create(bytes.length, { filename: `${kind}.bin` });
    const request = begin(nginx.port, 'PATCH', path, { ...HEADERS, ...BYTES_TYPE, 'Upload-Offset': '0', ...framing });
    request.on('error', () => undefined);
    request.write(bytes.subarray(0, 2_000_000));
    const offset = async (): Promise<number> =>
      Number((await head(service.url + path, HEADERS)).headers['upload-offset']);
    await expect.poll(offset).toBe(2_000_000);
    request.destroy();
    const rest = await ask(nginx.port, 'PATCH', path, {
      headers: { ...HEADERS, ...BYTES_TYPE, 'Upload-Offset': '2000000' },
      body: bytes.subarray(2_000_000),
    });
    expect(rest.status).toBe(204);
    const url = new URL(String(rest.headers['tidemark-file-url']));
    expect(url.origin).toBe(`https://${NAME}`);
    const got = await ask(nginx.port, 'GET', url.pathname, { headers: HEADERS });
    expect(md5(got.body)).toBe(md5(bytes));
  });

  test('sends files as they are: with their length, ETag and ranges, also to a client that accepts compression', async () => {
    const bytes = 'the tide comes in\n'.repeat(1_000);
    const put = await ask(nginx.port, 'POST', '/upload?filename=tide.txt', {
      headers: { ...HEADERS, 'Content-Type': 'multipart/form-data; boundary=b' },
      body: Buffer.from(
        `--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n${bytes}\r\n--b--\r\n`,
      ),
    });
    const { pathname } = new URL((JSON.parse(String(put.body)) as { url: string }).url);
    const headers = { ...HEADERS, 'Accept-Encoding': 'gzip' };
    const whole = await ask(nginx.port, 'GET', pathname, { headers });
    expect(whole.headers['content-encoding']).toBeUndefined();
    expect(whole.headers['content-length']).toBe(String(bytes.length));
    expect(whole.headers.etag).toMatch(/^"/);
    const range = { ...headers, Range: 'bytes=-3', 'If-Range': whole.headers.etag ?? '' };
    const end = await ask(nginx.port, 'GET', pathname, { headers: range });
    expect([end.status, String(end.body)]).toEqual([206, 'in\n']);
  });

  test('tells events as they happen', async () => {
    const [events] = (await once(begin(nginx.port, 'GET', '/api/events', HEADERS).end(), 'response')) as [
      IncomingMessage,
    ];
    let told = '';
    events.setEncoding('utf8').on('data', (piece: string) => (told += piece));
    await expect.poll(() => told).toContain('event: begin');
    await create(0, { filename: 'an-event.txt' });
    await expect.poll(() => told).toContain('an-event.txt');
    events.destroy();
  });

  test('takes as many labels as the service does', async () => {
    const metadata = { filename: 'many-labels', note: 'x'.repeat(6_120) };
    expect(encodeMetadata(metadata).length).toBe(8_191);
    await create(1, metadata);
  });

  test("lets the service's own page in, and sends plain http to https", async () => {
    const listed = await ask(nginx.port, 'GET', '/api/files', { headers: { ...HEADERS, Origin: `https://${NAME}` } });
    expect(listed.status).toBe(200);
    // Its log has the same, where $request_id is in its format.
    expect(listed.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    const options = { host: '127.0.0.1', port: nginx.plainPort, path: '/a?b', headers: { Host: NAME } };
    const [plain] = (await once(httpRequest(options).end(), 'response')) as [IncomingMessage];
    await text(plain);
    expect([plain.statusCode, plain.headers.location]).toEqual([308, `https://${NAME}/a?b`]);
  });

  test('waits longer than the service for a silent client', () => {
    const waits = [...block.matchAll(/^ +\w+_timeout (\w+);$/gm)].map((match) => parseDuration(match[1] ?? '') ?? 0);
    expect(waits).toHaveLength(4);
    expect(Math.min(...waits)).toBeGreaterThan(300_000);
  });
});

describe.skipIf(NGINX === undefined)('with the changes that docs/operations.md names', () => {
  async function start(
    env: NodeJS.ProcessEnv,
    change: (config: string) => string,
  ): Promise<{ service: RunningService; nginx: RunningFront }> {
    const service = await startService({ env });
    onTestFinished(() => service.stop());
    const nginx = await startBlock(service.port, change);
    onTestFinished(() => nginx.stop());
    return { service, nginx };
  }

  test('several names: TRUST_PROXY in place of PUBLIC_URL, and no claim of a client gets through', async () => {
    const { nginx } = await start({ AUTH_TOKENS: `alice:${TOKEN}`, TRUST_PROXY: 'loopback' }, (config) =>
      config.replaceAll(`server_name ${NAME}`, `server_name ${NAME} other.example`),
    );
    const claims = { Forwarded: 'host=evil.example', 'X-Forwarded-Port': '1', 'X-Forwarded-Prefix': '/evil' };
    for (const name of [NAME, 'other.example', `other.example:${nginx.port}`]) {
      const headers = { ...HEADERS, ...claims, Host: name, 'X-Forwarded-Host': 'evil.example', 'Upload-Length': '1' };
      const { headers: answered } = await ask(nginx.port, 'POST', '/uploads', { headers });
      expect(answered.location).toMatch(new RegExp(`^https://${name}/uploads/`));
    }
  });

  test('below a path, and without tokens', async () => {
    const { nginx } = await start({ AUTH: 'off', PUBLIC_URL: `https://${NAME}/tide` }, (config) =>
      config.replace('location / {', 'location /tide/ {'),
    );
    const created = await ask(nginx.port, 'POST', '/tide/uploads', { headers: { ...TUS, 'Upload-Length': '1' } });
    expect(created.headers.location).toMatch(new RegExp(`^https://${NAME}/tide/uploads/`));
    const looked = await ask(nginx.port, 'HEAD', new URL(created.headers.location ?? '').pathname, { headers: TUS });
    expect(looked.status).toBe(200);
    expect((await ask(nginx.port, 'GET', '/tide/')).status).toBe(200);
    const other = await ask(nginx.port, 'GET', '/tide/api/files', { headers: { Host: 'evil.example' } });
    expect(other.status).toBe(421);
  });
});
