import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startService } from '../harness/service.ts';
import type { RunningService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

const SIZE = 24 * MIB;
const SLOW = 12 * MIB;
/** Where neither buffers on the way nor parts of a bucket matter. */
const SMALL = 6 * MIB;
const SLOWER = 3 * MIB;

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test('after a kill the next run resumes from what has arrived', async () => {
    const line = await makeLine(service.port, SLOW);
    const client = await makeClient(line.url);
    const path = await client.makeFile('killed.bin', SIZE);
    const first = client.start(['upload', path]);
    await until(() => line.sentBytes() > SIZE / 3);
    first.signal('SIGKILL');
    await first.done;

    const result = await client.run(['upload', '--json', path]);
    expect(result.exitCode).toBe(0);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', size: SIZE });
    expect(record?.resumedFrom).toBeGreaterThan(0);
    expect(record?.sentBytes).toBeLessThan(SIZE);
  });

  test('the connection is cut half-way: what was stored is not sent again', async () => {
    const line = await makeLine(service.port, SLOW);
    const client = await makeClient(line.url);
    const run = client.start(['upload', '--json', await client.makeFile('cut.bin', SIZE)]);
    await until(() => line.sentBytes() > SIZE / 3);
    line.cut();
    await until(() => line.sentBytes() > (2 * SIZE) / 3);
    line.cut();
    const [record] = (await run.done).records();
    expect(record).toMatchObject({ status: 'uploaded' });
    expect(record?.sentBytes).toBeLessThan(SIZE * 1.7);
  });
});

describe('wherever the bytes are', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('a changed file never resumes the upload of its earlier state', async () => {
    const line = await makeLine(service.port, SLOWER);
    const client = await makeClient(line.url);
    const path = await client.makeFile('edited.bin', SMALL);
    const first = client.start(['upload', path]);
    await until(() => line.sentBytes() > SMALL / 4);
    first.signal('SIGKILL');
    await first.done;
    // What the line still holds does not arrive.
    line.cut();
    await client.makeFile('edited.bin', SMALL - 5);
    const [record] = (await client.run(['upload', '--json', path])).records();
    expect(record).toMatchObject({ status: 'uploaded', size: SMALL - 5, resumedFrom: 0 });
  });

  test('the service is killed and started again half-way', async () => {
    const line = await makeLine(service.port, SLOWER);
    const client = await makeClient(line.url);
    const run = client.start(['upload', '--json', await client.makeFile('service-killed.bin', SMALL)]);
    await until(() => line.sentBytes() > SMALL / 3);
    await service.kill('SIGKILL');
    await run.said('trying again');
    await service.restart();
    const result = await run.done;
    expect(result.exitCode).toBe(0);
    expect(result.records()).toMatchObject([{ status: 'uploaded', size: SMALL }]);
  });

  test('a connection that falls silent is given up and retried', async () => {
    const line = await makeLine(service.port, SLOWER);
    const client = await makeClient(line.url);
    const path = await client.makeFile('silent.bin', SMALL);
    const run = client.start(['upload', '--json', '--stall-timeout', '1s', path]);
    await until(() => line.sentBytes() > SMALL / 3);
    line.freeze();
    line.thaw();
    await run.said('stalled for');
    const result = await run.done;
    expect(result.exitCode).toBe(0);
    expect(result.records()).toMatchObject([{ status: 'uploaded', size: SMALL }]);
  });

  test('a HEAD answered 503 does not begin the upload anew', async () => {
    const line = await makeLine(service.port, SLOWER);
    let refusals = 0;
    let creations = 0;
    const url = await makeInterceptor(line.url, ({ method }) => {
      if (method === 'POST') creations += 1;
      if (method !== 'HEAD' || refusals >= 2) return null;
      refusals += 1;
      return { status: 503 };
    });
    const client = await makeClient(url);
    const run = client.start(['upload', '--json', await client.makeFile('head-503.bin', SMALL)]);
    await until(() => line.sentBytes() > SMALL / 2);
    line.cut();
    const result = await run.done;
    expect(result.records()).toMatchObject([{ status: 'uploaded' }]);
    expect({ refusals, creations }).toEqual({ refusals: 2, creations: 1 });
  });

  test('the last chunk of standard input is sent again when its answer gets lost', async () => {
    let cutAnswers = 0;
    const url = await makeInterceptor(service.url, ({ method, headers }) => {
      if (method !== 'PATCH' || headers['upload-length'] === undefined || cutAnswers > 0) return null;
      cutAnswers += 1;
      return { status: 502 };
    });
    const client = await makeClient(url);
    const run = client.start(['upload', '-', '--name', 'lost.bin', '--json', '--chunk-size', '1MiB'], {
      stdinOpen: true,
    });
    run.stdin.end(Buffer.alloc(2 * MIB + 5, 'x'));
    expect((await run.done).records()).toMatchObject([{ status: 'uploaded', size: 2 * MIB + 5 }]);
  });

  test('a small file is sent once when the answer to its creation gets lost', async () => {
    let lost = 0;
    let creations = 0;
    const url = await makeInterceptor(service.url, ({ method }) => {
      if (method === 'POST') creations += 1;
      if (method !== 'POST' || lost > 0) return null;
      lost += 1;
      return { answer: 'lost' };
    });
    const client = await makeClient(url);
    const result = await client.run(['upload', '--json', await client.makeFile('lost-small.bin', 100_000)]);
    expect(result.exitCode).toBe(0);
    expect(result.records()).toMatchObject([{ status: 'uploaded', size: 100_000, sentBytes: 100_000 }]);
    expect({ lost, creations }).toEqual({ lost: 1, creations: 1 });
    expect((await client.run(['list', '--search', 'lost-small', '--json'])).records()).toHaveLength(1);
  });

  test('a large file resumes its upload when the answer to its creation was lost', async () => {
    let creations = 0;
    const url = await makeInterceptor(service.url, ({ method }) => {
      if (method !== 'POST') return null;
      creations += 1;
      return creations === 1 ? { answer: 'lost' } : null;
    });
    const client = await makeClient(url);
    const result = await client.run(['upload', '--json', await client.makeFile('lost-large.bin', 2 * MIB)]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', sentBytes: 2 * MIB }]);
    expect(creations).toBe(1);
  });

  test('Ctrl-C ends with 130 and prints the command that resumes', async () => {
    const line = await makeLine(service.port, SLOWER);
    const client = await makeClient(line.url);
    const path = await client.makeFile('interrupted file.bin', SMALL);
    const run = client.start(['upload', '--token', 'very-secret', path]);
    await until(() => line.sentBytes() > SMALL / 3);
    run.signal('SIGINT');
    const result = await run.done;
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    expect(result.exitCode).toBe(130);
    expect(result.stderr).toContain(`  tidemark upload '${path}'`);
    expect(result.stderr + result.stdout).not.toContain('very-secret');

    const [record] = (await client.run(['upload', '--json', path])).records();
    expect(record?.resumedFrom).toBeGreaterThan(0);
  });

  test('the service’s own work on a large file is not taken for a dead connection', async () => {
    const asked: string[] = [];
    let lost = 0;
    const url = await makeInterceptor(service.url, ({ method = '', url: path = '' }) => {
      asked.push(method === 'GET' ? path.replace(/\?.*/, '') : method);
      if (path.startsWith('/check')) return { answerAfterMs: 1_300 };
      if (method === 'PATCH' && lost === 0) {
        lost += 1;
        return { answer: 'lost' };
      }
      return method === 'HEAD' || method === 'PATCH' ? { answerAfterMs: 1_300 } : null;
    });
    const client = await makeClient(url);
    const path = join(client.folder, 'large.bin');
    await writeFile(path, '');
    // Worth two and a half seconds of the service's time.
    await truncate(path, 128 * MIB);
    const result = await client.run(['upload', '--json', '--stall-timeout', '1s', path]);
    expect(result.exitCode).toBe(0);
    expect(result.stderr).not.toContain('stalled for');
    expect(asked.slice(0, 4)).toEqual(['/check', 'POST', 'PATCH', 'HEAD']);
  });

  test('a full store is waited for, and said so', async () => {
    let refusals = 0;
    const url = await makeInterceptor(service.url, ({ method }) => {
      if (method !== 'PATCH' || refusals >= 2) return null;
      refusals += 1;
      return { status: 507, body: { error: { code: 'store_full', message: 'The store is full.' } } };
    });
    const client = await makeClient(url);
    const result = await client.run(['upload', await client.makeFile('full.bin', 2 * MIB)]);
    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain('the store is full, waiting for room');
  });

  test('it gives up after a while, and prints the reason and how to resume', async () => {
    const client = await makeClient('http://127.0.0.1:9');
    const path = await client.makeFile('nobody.bin', 10);
    const result = await client.run(['upload', '--retry-for', '1s', path]);
    expect(result).toMatchObject({ exitCode: 1, stdout: '' });
    expect(result.stderr).toContain('connection refused');
    expect(result.stderr).toContain(`To continue: tidemark upload --retry-for 1s ${path}`);
  });

  test('Ctrl-C while standard input is silent', async () => {
    const line = await makeLine(service.port);
    const client = await makeClient(line.url);
    const run = client.start(['upload', '-', '--name', 'silent.bin'], { stdinOpen: true });
    await until(() => line.sentBytes() > 0);
    run.signal('SIGINT');
    const result = await run.done;
    expect(result.exitCode).toBe(130);
    expect(result.stderr).toContain('cannot be resumed');
  });
});
