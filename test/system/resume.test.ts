/**
 * HEAD, then PATCH at the offset it told, right after the connection broke: as tus-java-client resumes, for which a 409 is
 * the end. `TIDEMARK_ROUNDS=200` runs each way and delay so often.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverCatalogs, type StoredService } from '../harness/stores.ts';
import { createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { answered, expectBytes, offsetOf, openPatch, patchHeaders, until } from './support.ts';

const SIZE = 2 * 1024 * 1024;
const WAYS = ['closed', 'reset', 'silent'] as const;
type Way = (typeof WAYS)[number];
const DELAYS_MS = [0, 5, 20, 100];
/** Longer than any run takes: the rounds are what bounds it. */
const TEST_MS = 3_600_000;

const bytes = makeBytes(SIZE, 950);
const others = makeBytes(1024 * 1024, 951);

/** A PATCH of the whole file whose connection breaks after so many bytes; resolves once it is broken. */
async function breakOff(
  service: Pick<StoredService, 'port'>,
  location: string,
  sentBytes: number,
  way: Way,
): Promise<Socket> {
  const socket = connect(service.port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const headers = { Host: 'localhost', ...patchHeaders(0), 'Content-Length': String(SIZE) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`PATCH ${new URL(location).pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await new Promise((resolve) => socket.write(bytes.subarray(0, sentBytes), resolve));
  if (way === 'closed') socket.destroy();
  if (way === 'reset') socket.resetAndDestroy();
  return socket;
}

/** Whether the PATCH at the offset that HEAD told was taken. */
async function goesOn(service: StoredService, way: Way, delayMs: number): Promise<boolean> {
  const location = await createUpload(service.url, SIZE);
  // Mostly within what the kernel holds, and within one part; or anywhere.
  const most = Math.random() < 0.75 ? SIZE / 10 : SIZE - 2000;
  const socket = await breakOff(service, location, 1 + Math.floor(Math.random() * most), way);
  if (delayMs > 0) await wait(delayMs);
  const offset = await offsetOf(location);
  const { status } = await patch(location, offset, bytes.subarray(offset, offset + 1000));
  socket.destroy();
  expect([204, 409, 423]).toContain(status);
  await send('DELETE', location, { headers: TUS });
  return status === 204;
}

/** Uploads one file after the other until told to stop. */
async function keepBusy(service: StoredService, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const location = await createUpload(service.url, others.length);
    expect((await patch(location, 0, others)).status).toBe(204);
  }
}

describeOverCatalogs((store) => {
  const rounds = Number(process.env['TIDEMARK_ROUNDS'] ?? 2);
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  for (const way of WAYS) {
    for (const busy of [false, true]) {
      test(
        `${way}, ${busy ? 'while others send' : 'idle'}: what HEAD tells is where the next PATCH is taken`,
        async () => {
          const stop = new AbortController();
          const load = busy ? Array.from({ length: 3 }, () => keepBusy(service, stop.signal)) : [];
          const refused: Record<string, number> = {};
          for (const delayMs of DELAYS_MS) {
            for (let round = 0; round < rounds; round++) {
              if (await goesOn(service, way, delayMs)) continue;
              refused[`${delayMs} ms`] = (refused[`${delayMs} ms`] ?? 0) + 1;
            }
          }
          stop.abort();
          await Promise.all(load);
          expect(refused, `of ${rounds}`).toEqual({});
        },
        TEST_MS,
      );
    }
  }

  test('what was resumed so is complete at the end', async () => {
    for (const way of WAYS) {
      const location = await createUpload(service.url, SIZE, { filename: `${way}.bin`, md5: md5(bytes) });
      const socket = await breakOff(service, location, 777_777, way);
      const offset = await offsetOf(location);
      expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
      socket.destroy();
      await expectBytes(location, bytes);
    }
  });

  test('a connected sender is neither ended nor refused by a client that looks all the time', async () => {
    const location = await createUpload(service.url, SIZE, { filename: 'looked-at.bin', md5: md5(bytes) });
    const sender = openPatch(location, 0, SIZE);
    const looking = new AbortController();
    let told = 0;
    const looks = Array.from({ length: 3 }, async () => {
      while (!looking.signal.aborted) {
        const { headers } = await head(location);
        expect(Number(headers['upload-offset'])).toBeGreaterThanOrEqual(0);
        told = Math.max(told, Number(headers['upload-offset']));
      }
    });
    for (let at = 0; at < SIZE; at += SIZE / 40) await sender.write(bytes.subarray(at, at + SIZE / 40));
    sender.end();
    expect((await answered(sender)).status).toBe(204);
    looking.abort();
    await Promise.all(looks);
    expect(told).toBeGreaterThan(0);
    await expectBytes(location, bytes);
  });

  test('the offset in a 409, and that of /check, are where the next PATCH is taken, too', async () => {
    for (const ask of ['409', '/check'] as const) {
      const location = await createUpload(service.url, SIZE, { filename: `${ask.slice(-5)}.bin`, md5: digest(ask) });
      const socket = await breakOff(service, location, 777_777, 'silent');
      let offset: number;
      if (ask === '409') {
        const answer = await patch(location, 5, 'x');
        expect(answer.status).toBe(409);
        // It has taken over already: what came after that is sent again.
        offset = Number(answer.headers['upload-offset']);
        expect(offset).toBeLessThanOrEqual(777_777);
      } else {
        const answer = await send('GET', `${service.url}/check?md5=${digest(ask)}`);
        offset = (JSON.parse(answer.body) as { resume: { offset: number } }).resume.offset;
        expect(offset).toBe(777_777);
      }
      expect((await patch(location, offset, bytes.subarray(offset, offset + 5))).status).toBe(204);
      socket.destroy();
    }
  });
}, 'one');

test('a PATCH whose connection waits behind others to be accepted, while HEAD comes by an open one', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const location = await createUpload(service.url, SIZE);
  const { pathname } = new URL(location);
  const asking = connect(service.port, '127.0.0.1').setEncoding('latin1');
  const told = async (): Promise<number> => {
    asking.write(`HEAD ${pathname} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n\r\n`);
    const [answer] = (await once(asking, 'data')) as [string];
    return Number(/upload-offset: (\d+)/i.exec(answer)?.[1]);
  };
  expect(await told()).toBe(0);
  // The kernel takes in what comes meanwhile; then the service sees all of it at once.
  process.kill(service.pid, 'SIGSTOP');
  const before = Array.from({ length: 20 }, () => connect(service.port, '127.0.0.1'));
  await Promise.all(before.map((socket) => once(socket, 'connect')));
  await breakOff(service, location, 50_000, 'closed');
  const telling = told();
  process.kill(service.pid, 'SIGCONT');
  expect(await telling).toBe(50_000);
  expect((await patch(location, 50_000, bytes.subarray(50_000, 60_000))).status).toBe(204);
  for (const socket of [asking, ...before]) socket.destroy();
});

describe('looking when nothing has come', () => {
  let bucket: SystemBucket;
  let proxy: FaultProxy;
  let service: RunningService;
  beforeAll(async () => {
    const oss = BUCKETS.find(({ name }) => name === 'OSS');
    if (!oss) throw new Error('no double of OSS');
    bucket = await oss.start();
    proxy = await startFaultProxy({ toPort: bucket.port });
    service = await startService({ env: bucket.env(proxy.port) });
  });
  afterAll(async () => {
    await service.stop();
    await proxy.stop();
    await bucket.stop();
  });

  test('stores nothing; what a slow sender has replaced is removed on the way', async () => {
    const stored = (): number => proxy.calls().filter(({ operation }) => operation === 'PutObject').length;
    const location = await createUpload(service.url, SIZE);
    const sender = openPatch(location, 0, SIZE);
    const begun = stored();
    for (let step = 1; step <= 5; step++) {
      await sender.write(bytes.subarray((step - 1) * 100_000, step * 100_000));
      await until('all is told', async () => (await offsetOf(location)) === step * 100_000);
      const before = stored();
      for (let look = 0; look < 20; look++) expect(await offsetOf(location)).toBe(step * 100_000);
      expect(stored()).toBe(before);
    }
    expect(stored() - begun).toBeLessThanOrEqual(10);
    // The newest, and the one it has just replaced.
    expect((await bucket.keys()).length).toBeLessThanOrEqual(2);
    sender.destroy();
    await until('its end is known', async () => (await patch(location, 500_000, '')).status === 204);
  });
});

function digest(text: string): string {
  return md5(Buffer.from(text));
}
