/** Clients that take their time: nobody else is held up, and nothing of theirs is lost. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { answered, expectBytes, offsetOf, openPatch, type OpenPatch, until } from './support.ts';

/** How many clients pause. In a bucket each look at one stores a tail. */
const IDLE = { local: 200, Ceph: 60, OSS: 60 };

/** Sends bytes one at a time, one a second, until told to stop; how many it sent. */
async function dribble(slow: OpenPatch, bytes: Buffer, stop: AbortSignal): Promise<number> {
  let sent = 0;
  while (!stop.aborted && sent < bytes.length) {
    await slow.write(bytes.subarray(sent, ++sent));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1000);
      stop.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
  return sent;
}

describeOverFolderAndBucket((store) => {
  const count = IDLE[store.name];
  const third = Math.floor(count / 3);
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test('one byte a second: others are not held up, and what it sends counts', async () => {
    const bytes = makeBytes(20, 80);
    const location = await createUpload(service.url, bytes.length, { filename: 'dribbled', md5: md5(bytes) });
    const slow = openPatch(location, 0, bytes.length);
    const stop = new AbortController();
    const sending = dribble(slow, bytes, stop.signal);

    const others = makeBytes(1024 * 1024, 81);
    for (let round = 0; round < 5; round++) {
      const other = await createUpload(service.url, others.length, { filename: `quick-${round}` });
      expect((await patch(other, 0, others)).status).toBe(204);
    }

    // The offset is told meanwhile: a look has it committed.
    expect(await offsetOf(location)).toBeGreaterThan(0);
    stop.abort();
    const sent = await sending;
    expect(sent).toBeLessThan(bytes.length);
    slow.destroy();
    await until('the rest is committed', async () => (await offsetOf(location)) === sent);
    expect((await patch(location, sent, bytes.subarray(sent))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('how long it is silent is told, from its last byte, whenever that is stored', async () => {
    const bytes = makeBytes(1000, 84);
    const location = await createUpload(service.url, bytes.length);
    const idle = async (): Promise<number> => Number((await head(location)).headers['tidemark-idle']);
    const slow = openPatch(location, 0, bytes.length);
    await until('it is silent', async () => (await idle()) >= 3);
    await slow.write(bytes.subarray(0, 500));
    // A bucket has nothing of them yet.
    await until('its bytes have come', async () => (await idle()) < 3);
    await until('it is silent', async () => (await idle()) >= 3);
    slow.destroy();
    await until('what came is stored', async () => (await offsetOf(location)) === 500);
    expect(await idle()).toBeGreaterThanOrEqual(3);
  });

  test(`${count} uploads that pause with open connections keep their offset, and the service stays quick`, async () => {
    const bytes = makeBytes(100_000, 82);
    const idle = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const location = await createUpload(service.url, bytes.length, { filename: `idle-${index}` });
        const running = openPatch(location, 0, bytes.length);
        await running.write(bytes.subarray(0, 1000 + index));
        return { location, running, sent: 1000 + index };
      }),
    );
    // Of a bucket's service it is told that nothing waits in any of its sockets: once is enough.
    for (const { location, sent } of store.name === 'local' ? idle : idle.slice(-1)) {
      await service.untilTaken(location, sent);
    }

    const times: number[] = [];
    for (let look = 0; look < 50; look++) {
      const begun = Date.now();
      expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
      expect((await head(idle[look]?.location ?? '')).status).toBe(200);
      times.push(Date.now() - begun);
    }
    expect(times.toSorted((a, b) => a - b)[25]).toBeLessThan(1000);
    const other = await createUpload(service.url, bytes.length);
    expect((await patch(other, 0, bytes)).status).toBe(204);
    if (process.platform === 'linux') expect(await residentMib(service.pid)).toBeLessThan(250);

    // A third of them send on as if nothing had happened, a third come back, a third were cut by a death.
    for (const { running, sent } of idle.slice(0, third)) {
      await running.write(bytes.subarray(sent));
      running.end();
    }
    for (const { running } of idle.slice(0, third)) expect((await answered(running)).status).toBe(204);
    for (const { running } of idle.slice(third, 2 * third)) running.destroy();
    for (const { location, sent } of idle.slice(third, 2 * third)) {
      await until('what came is committed', async () => (await offsetOf(location)) === sent);
    }
    // The first commit of an upload comes within a second or so: from then on all is kept.
    for (const { location } of idle.slice(2 * third)) await patchInTheMiddle(location);
    await service.restart();
    for (const { location, sent } of idle.slice(third)) {
      expect(await offsetOf(location)).toBe(sent);
    }
    for (const { location, sent } of [...idle.slice(third, third + 5), ...idle.slice(-5)]) {
      expect((await patch(location, sent, bytes.subarray(sent))).status).toBe(204);
      await expectBytes(location, bytes);
    }
  });
});

/** Makes an idle writer commit what it has, by asking for its lease. */
async function patchInTheMiddle(location: string): Promise<void> {
  expect((await patch(location, 0, '')).status).toBe(409);
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
