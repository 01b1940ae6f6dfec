import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { freePort } from '../harness/ports.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { bearer } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

const MAIN = fileURLToPath(new URL('../../server/main.js', import.meta.url));
const SECRET = 'tide-secret-4711';

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: { AUTH_TOKENS: `anna:${SECRET}`, LOG_LEVEL: 'trace' } });
});
afterAll(() => service.stop());

interface Line {
  requestId?: string;
  msg: string;
  [field: string]: unknown;
}

function lines(): Line[] {
  return service
    .output()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** The one line of a request, once it is there. */
async function lineOf(requestId: unknown): Promise<Line> {
  return vi.waitFor(() => {
    const found = lines().filter((line) => line.requestId === requestId && line.msg === 'request');
    expect(found).toHaveLength(1);
    return found[0] as Line;
  });
}

describe('the log', () => {
  test('has one line of JSON for each request', async () => {
    const bytes = makeBytes(500_000, 91);
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin' }, bearer(SECRET));
    const answer = await patch(location, 0, bytes, bearer(SECRET));
    const line = await lineOf(answer.headers['x-request-id']);
    expect(line).toMatchObject({
      level: 30,
      method: 'PATCH',
      path: new URL(location).pathname,
      status: 204,
      uploadId: location.split('/').at(-1),
      owner: 'anna',
      durationMs: expect.any(Number),
      bytesOut: expect.any(Number),
    });
    // Head and body.
    expect(line['bytesIn']).toBeGreaterThan(500_000);
    expect(line['bytesIn']).toBeLessThan(502_000);

    const downloaded = await send('GET', String(answer.headers['tidemark-file-url']), { headers: bearer(SECRET) });
    const out = await lineOf(downloaded.headers['x-request-id']);
    expect(out['bytesOut']).toBeGreaterThan(500_000);
    expect(out['bytesIn']).toBeGreaterThan(0);
  });

  test('says why a request was refused', async () => {
    const refused = await send('GET', `${service.url}/check?md5=x`, { headers: bearer(SECRET) });
    expect(await lineOf(refused.headers['x-request-id'])).toMatchObject({
      status: 400,
      code: 'invalid_field',
      path: '/check',
    });
    const anonymous = await send('GET', `${service.url}/api/files`);
    expect(await lineOf(anonymous.headers['x-request-id'])).toMatchObject({ status: 401, code: 'unauthorized' });
  });

  test('keeps a request id that is sane, and makes one otherwise', async () => {
    const kept = await send('GET', `${service.url}/healthz`, { headers: { 'X-Request-Id': 'edge-1:abc.DEF_2' } });
    expect(kept.headers['x-request-id']).toBe('edge-1:abc.DEF_2');
    await lineOf('edge-1:abc.DEF_2');
    for (const id of ['x'.repeat(101), 'a b', '"}', 'ü', '']) {
      const made = await send('GET', `${service.url}/healthz`, { headers: { 'X-Request-Id': id } });
      expect(made.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test('never holds a token, wherever a client puts it', async () => {
    const attempts = [
      send('GET', `${service.url}/api/files`, { headers: bearer(SECRET) }),
      send('GET', `${service.url}/api/files?token=${SECRET}`, { headers: bearer(SECRET) }),
      send('GET', `${service.url}/nowhere?access_token=${SECRET}`, {
        headers: { ...bearer(SECRET), Cookie: `t=${SECRET}` },
      }),
      send('GET', `${service.url}/api/files`, { headers: bearer(`${SECRET}-wrong`) }),
      send('GET', service.url, { rawPath: `http://anna:${SECRET}@host/healthz` }),
    ];
    for (const answer of await Promise.all(attempts)) await lineOf(answer.headers['x-request-id']);
    expect(service.output()).not.toContain(SECRET);
  });

  test('every line of it is JSON, and none reports a failure of the service', () => {
    for (const line of lines()) expect(line['level'], JSON.stringify(line)).toBeLessThan(40);
  });
});

// /dev/full (full(4)) answers every write as a full disk does.
test.runIf(IS_LINUX)('a log that cannot be written does no harm', async () => {
  const dataDir = await makeTempFolder();
  const port = await freePort();
  const child = spawn('bash', ['-c', 'exec "$0" "$1" > /dev/full', process.execPath, MAIN], {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir, HTTP_PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await vi.waitFor(
    async () => expect((await send('GET', `http://127.0.0.1:${port}/healthz`)).status).toBe(200),
    10_000,
  );
  for (let round = 0; round < 3; round++) {
    expect((await send('GET', `http://127.0.0.1:${port}/api/files`)).status).toBe(200);
  }
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

describe('a configuration that is not valid', () => {
  async function start(env: NodeJS.ProcessEnv): Promise<{ code: number; output: string }> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
    const child = spawn(process.execPath, [MAIN], {
      cwd: folder,
      env: { PATH: process.env['PATH'], HTTP_PORT: '0', DATA_DIR: join(folder, 'data'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        // It runs, though it should not.
        if (output.includes('tidemark listens')) child.kill('SIGKILL');
      });
    }
    const [code] = (await once(child, 'close')) as [number];
    // Refused before anything was made.
    const left = await readdir(folder);
    await rm(folder, { recursive: true });
    expect(left).toEqual([]);
    return { code, output };
  }

  test('is told with all its problems at once, and exit code 78', async () => {
    const { code, output } = await start({
      HTTP_PORT: '99999',
      LISTEN: '0.0.0.0',
      PUBLIC_URL: 'ftp://x',
      MAX_FILE_SIZE: 'huge',
      UPLOAD_TTL: '24',
      SHUTDOWN_TIMEOUT: '-1s',
      INSTANT: 'maybe',
      PUBLIC_READ: 'perhaps',
      LOG_LEVEL: 'loud',
      STORE: 'tape',
      DIGESTS: 'md5,crc32',
      TRUST_PROXY: 'everyone',
      DATABASE_URL: `mysql://root:${SECRET}@db/x`,
    });
    expect(code).toBe(78);
    for (const variable of [
      'HTTP_PORT',
      'LISTEN',
      'PUBLIC_URL',
      'MAX_FILE_SIZE',
      'UPLOAD_TTL',
      'SHUTDOWN_TIMEOUT',
      'INSTANT',
      'PUBLIC_READ',
      'LOG_LEVEL',
      'STORE',
      'DIGESTS',
      'TRUST_PROXY',
      'DATABASE_URL',
    ]) {
      expect(output.match(new RegExp(`^  ${variable}: `, 'gm')), variable).toHaveLength(1);
    }
    expect(output).not.toContain(SECRET);
    expect(output).not.toMatch(/\n\s+at /);
  });

  test('with tokens that are wrong says which, and never a secret', async () => {
    const { code, output } = await start({
      AUTH_TOKENS: `${SECRET},anna:short,be rt:${SECRET}-2,anyone:${SECRET}-3,carl:${SECRET}-4,dora:${SECRET}-4`,
      AUTH: 'off',
    });
    expect(code).toBe(78);
    expect(output.match(/^ {2}AUTH_TOKENS: entry [1-6]/gm)?.map((line) => line.at(-1))).toEqual([
      '1',
      '2',
      '3',
      '4',
      '6',
    ]);
    expect(output).toMatch(/^ {2}AUTH: /m);
    expect(output).not.toContain(SECRET);
    expect(output).not.toContain('short');
  });

  test.each([
    ['AUTH_TOKENS', { AUTH_TOKENS: ',' }],
    ['AUTH_TOKENS', { AUTH_TOKENS: 'anna:' }],
    ['LISTEN', { LISTEN: '::' }],
    ['TRUST_PROXY', { TRUST_PROXY: '10.0.0.0/99' }],
    ['TRUST_PROXY', { TRUST_PROXY: '999.1.1.1' }],
    ['PUBLIC_URL', { PUBLIC_URL: 'https://user:pw@example.org/' }],
    ['HOST', { HOST: 'a b/c' }],
  ])('%s alone: %j', async (variable, env) => {
    const { code, output } = await start(env);
    expect([code, output]).toEqual([78, expect.stringContaining(`  ${variable}: `)]);
  });
});
