import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverBucket, type StoredService } from '../harness/stores.ts';
import { MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

/** More than all buffers on the way hold: a client that is stopped has bytes left. */
const SIZE = 40 * MIB;
const SLOW = 8 * MIB;
/** Two parts of a bucket, and more; also more than what the buffers hold and what was sent before. */
const PARTS = 20 * MIB;
/** Where what the buffers hold does not matter. */
const SMALL = 6 * MIB;
const SLOWER = 4 * MIB;
/** Bytes per second: next to nothing of a file gets through. */
const CRAWL = 256 * 1024;

async function makeUpload(service: RunningService, bytes: Uint8Array): Promise<string> {
  const [md5, sha256] = ['md5', 'sha256'].map((name) => createHash(name).update(bytes).digest('hex'));
  const metadata = [`filename ${btoa('other.bin')}`, `md5 ${btoa(`${md5}`)}`, `sha256 ${btoa(`${sha256}`)}`].join(',');
  const headers = { 'Tus-Resumable': '1.0.0', 'Upload-Length': String(bytes.length), 'Upload-Metadata': metadata };
  const answer = await fetch(`${service.url}/uploads`, { method: 'POST', headers });
  expect(answer.status).toBe(201);
  return answer.headers.get('location') ?? '';
}

function patchHeaders(offset: number): Record<string, string> {
  return {
    'Tus-Resumable': '1.0.0',
    'Upload-Offset': String(offset),
    'Content-Type': 'application/offset+octet-stream',
  };
}

async function offsetOf(uploadUrl: string): Promise<number> {
  const answer = await fetch(uploadUrl, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
  return Number(answer.headers.get('upload-offset'));
}

describeOverBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  // It has nothing new of it for longer than silence is borne.
  test('a slow first run keeps its upload, though no part of it is stored', async () => {
    const line = await makeLine(service.port, SLOW);
    let looks = 0;
    const url = await makeInterceptor(line.url, (message) => {
      if (message.url?.startsWith('/check')) looks += 1;
      return null;
    });
    const client = await makeClient(url);
    const path = await client.makeFile('slow-run.bin', PARTS);
    const first = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > PARTS / 2);
    line.setSpeed(MIB / 16);
    const second = client.start(['upload', '--json', path]);
    await second.said('another run of this command is already sending these bytes; waiting for it');
    // It looks once a second, until the upload is its own.
    let isDone = false;
    void second.done.then(() => (isDone = true));
    await until(() => looks > 20 || isDone);
    line.setSpeed(Infinity);
    const results = await Promise.all([first.done, second.done]);
    expect(results[0].stderr).not.toContain('someone else');
    expect(results.map((result) => result.records()[0])).toMatchObject([
      { status: 'uploaded', sentBytes: PARTS },
      { status: 'instant' },
    ]);
  });
});

// Half a minute of waiting each, for what the client does alone.
describe('wherever the bytes are', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('a second run for the same file watches the first, and nothing is sent twice', async () => {
    const line = await makeLine(service.port, SLOWER);
    const client = await makeClient(line.url);
    const path = await client.makeFile('two-runs.bin', SMALL);
    const first = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > SMALL / 4);
    // However long the second one takes to start, the first has not finished by then.
    line.setSpeed(CRAWL);
    const second = client.start(['upload', '--json', path]);
    await second.said('another run of this command is already sending these bytes; waiting for it');
    line.setSpeed(SLOWER);
    const results = await Promise.all([first.done, second.done]);
    expect(results.map((result) => [result.exitCode, result.records()[0]?.status])).toEqual([
      [0, 'uploaded'],
      [0, 'instant'],
    ]);
    expect(line.sentBytes()).toBeLessThan(SMALL + MIB);
  });

  test('the first of two runs is killed: the second resumes at once', async () => {
    const line = await makeLine(service.port, SLOW);
    const client = await makeClient(line.url);
    const path = await client.makeFile('first-killed.bin', PARTS);
    const first = client.start(['upload', path]);
    await until(() => line.sentBytes() > PARTS / 4);
    line.setSpeed(CRAWL);
    const second = client.start(['upload', '--json', path]);
    await second.said('waiting for it');
    const killedAt = performance.now();
    first.signal('SIGKILL');
    line.setSpeed(SLOW);
    const [record] = (await second.done).records();
    expect(record).toMatchObject({ status: 'uploaded' });
    expect(record?.resumedFrom).toBeGreaterThan(0);
    // Well before the 15 s of silence after which any sender counts as gone.
    expect(performance.now() - killedAt).toBeLessThan(12_000);
  });

  test('an upload that someone else took over is left to them, and done when they are', async () => {
    const line = await makeLine(service.port, SLOW);
    let patches = 0;
    const url = await makeInterceptor(line.url, ({ method }) => {
      if (method === 'PATCH') patches += 1;
      return null;
    });
    const client = await makeClient(url);
    const path = await client.makeFile('taken-over.bin', SIZE);
    const bytes = await readFile(path);
    const run = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > SIZE / 4);
    // The rest does not get through before it is taken over.
    line.setSpeed(CRAWL);
    const md5 = createHash('md5').update(bytes).digest('hex');
    const found = (await (await fetch(`${service.url}/check?md5=${md5}`)).json()) as { resume: { url: string } };
    const uploadUrl = found.resume.url;

    // Whatever the answer: a PATCH takes over.
    await fetch(uploadUrl, { method: 'PATCH', headers: patchHeaders(await offsetOf(uploadUrl)), body: '' });
    await run.said('another client has taken over this upload; waiting for it');
    const offset = await offsetOf(uploadUrl);
    const taker = request(uploadUrl, { method: 'PATCH', headers: patchHeaders(offset) });
    const answered = new Promise<number>((resolve, reject) => {
      taker.on('response', (answer) => resolve(answer.resume().statusCode ?? 0));
      taker.on('error', reject);
    });
    taker.end(bytes.subarray(offset));
    expect(await answered).toBe(204);
    const result = await run.done;
    expect(result.exitCode).toBe(0);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', size: SIZE });
    expect(record?.sentBytes).toBeLessThan(SIZE);
    expect(patches).toBe(1);
  });

  test('a first run that fell silent loses the upload to the second, and does not take it back', async () => {
    const line = await makeLine(service.port, SLOW);
    let patches = 0;
    const url = await makeInterceptor(line.url, ({ method }) => {
      if (method === 'PATCH') patches += 1;
      return null;
    });
    const client = await makeClient(url);
    const path = await client.makeFile('silent-run.bin', SIZE);
    const first = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > SIZE / 4);
    first.signal('SIGSTOP');
    const second = client.start(['upload', '--json', path]);
    await second.said('waiting for it');
    await until(() => patches >= 2);
    first.signal('SIGCONT');
    const results = await Promise.all([first.done, second.done]);
    expect(results.map((result) => [result.exitCode, result.records()[0]?.status])).toEqual([
      [0, 'uploaded'],
      [0, 'uploaded'],
    ]);
    expect(results[0].stderr).toContain('another client has taken over this upload');
    // Each taking it from the other again and again would send it several times over.
    expect(line.sentBytes()).toBeLessThan(2 * SIZE);
  });

  test('someone else’s trickle is not waited for', async () => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('trickle.bin', SMALL);
    const bytes = await readFile(path);
    const uploadUrl = await makeUpload(service, bytes);
    let offset = 0;
    async function trickle(): Promise<void> {
      const answer = await fetch(uploadUrl, {
        method: 'PATCH',
        headers: patchHeaders(offset),
        body: bytes.subarray(offset, offset + 100),
      });
      if (answer.status === 204) offset += 100;
    }
    await trickle();
    // One that is under way when the service stops has no answer.
    const timer = setInterval(() => void trickle().catch(() => undefined), 500);
    onTestFinished(() => clearInterval(timer));
    const run = client.start(['upload', '--json', path]);
    await run.said('another client is already sending these bytes; waiting for it');
    const result = await run.done;
    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain('the other client is slow');
    expect(result.records()).toMatchObject([{ status: 'uploaded', size: SMALL, resumedFrom: 0, sentBytes: SMALL }]);
    expect(offset).toBeGreaterThan(100);
  });
});
