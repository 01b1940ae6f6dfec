/** A whole service as several processes on one port, over PostgreSQL and a bucket (`WORKERS`). */
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { PART } from '../harness/part.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { countWaitingBytes } from '../harness/sockets.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { expectBytes, offsetOf, openPatch, until } from './support.ts';

// Its first half does not fill a part.
const bytes = makeBytes(PART + 100_000, 4_300);
const half = 150_000;

/** What it needs is that it is over there: the double of OSS is the quickest to start. */
const OSS = BUCKETS.find(({ name }) => name === 'OSS');

describe.skipIf(!hasPostgres() || !IS_LINUX)('a service of several workers', () => {
  let bucket: SystemBucket;
  let database: TestDatabase;
  beforeAll(async () => {
    if (!OSS) throw new Error('no double of OSS');
    bucket = await OSS.start();
  });
  afterAll(() => bucket.stop());

  async function start(): Promise<RunningService> {
    database = await createDatabase();
    onTestFinished(() => database.drop());
    const service = await startService({
      env: { ...bucket.env(), S3_PREFIX: `${database.name}/`, DATABASE_URL: database.url, WORKERS: '2' },
    });
    onTestFinished(() => service.stop());
    await until('both workers listen', () => listening(service).length === 2);
    return service;
  }

  /** Lines of the log, as objects. */
  function logOf(service: RunningService): Record<string, unknown>[] {
    return service
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  function listening(service: RunningService): unknown[] {
    return logOf(service)
      .filter(({ msg }) => String(msg).startsWith('tidemark listens'))
      .map(({ worker }) => worker);
  }

  /** A connection may still have gone to the worker that was killed. */
  async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      const answer = await ask().catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') return undefined;
        throw error;
      });
      if (answer !== undefined) return answer;
    }
  }

  /** The processes of its workers. */
  function workersOf({ pid }: RunningService): number[] {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  }

  test('goes on with an upload whose worker was killed, needs no folder, and each line of the log says whose it is', async () => {
    const service = await start();
    expect(new Set(listening(service))).toEqual(new Set([1, 2]));
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin', md5: md5(bytes) });
    expect((await patch(location, 0, bytes.subarray(0, half))).status).toBe(204);
    for (const [index, worker] of workersOf(service).entries()) {
      process.kill(worker, 'SIGKILL');
      // By the other one, while this one is away.
      expect(await untilAnswered(() => offsetOf(location))).toBe(half);
      await until('it is back', () => listening(service).length === 3 + index);
      expect(logOf(service)).toContainEqual(expect.objectContaining({ msg: 'a worker ended', pid: worker }));
    }
    expect((await patch(location, half, bytes.subarray(half))).status).toBe(204);
    await expectBytes(location, bytes);
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(await database.run('select id from nodes')).toEqual([]);
    expect(await readdir(service.dataDir)).toEqual([]);
    const requests = logOf(service).filter(({ msg }) => msg === 'request');
    expect(requests.length).toBeGreaterThan(3);
    expect(requests.filter(({ worker }) => worker !== 1 && worker !== 2)).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('commits what has arrived when the parent gets %s', async (signal) => {
    const service = await start();
    const workers = workersOf(service);
    const location = await createUpload(service.url, bytes.length, { filename: 'b.bin', md5: md5(bytes) });
    const running = openPatch(location, 0, bytes.length);
    await running.write(bytes.subarray(0, half));
    // The other worker cannot tell: what has not been committed is known where it arrives.
    await until('it is with the service', async () => (await countWaitingBytes(service.port)) === 0);
    expect(await service.kill(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
    expect(await running.answer).toMatchObject({ status: 503, code: 'shutting_down' });
    running.destroy();
    const runs = (pid: number): boolean => {
      try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      } catch {
        return false;
      }
    };
    await until('the workers are gone', () => workers.filter(runs).length === 0);
    expect(await database.run('select id from nodes')).toEqual([]);
    const [row] = await database.run<{ offset: string }>('select "offset" from uploads');
    expect(Number(row?.offset)).toBe(half);
  });
});
