/** Two requests at one upload: the newer one takes over, looking never disturbs, waiting costs nothing. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openLine } from '../harness/proxy.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import {
  answered,
  expectBytes,
  listFiles,
  offsetOf,
  openPatch,
  unfinishedPath,
  until,
  writtenBytes,
} from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

const SIZE = PART + 1024 * 1024;

let seed = 300;

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test('a second PATCH takes over from a slow one, and nothing is lost', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(service.url, SIZE, { filename: 'taken-over', md5: md5(bytes) });
    // A part and the beginning of another, where there are parts.
    const sent = PART + 70_000;
    const slow = openPatch(location, 0, SIZE);
    await slow.write(bytes.subarray(0, sent));
    await service.untilTaken(location, sent);

    const told = await offsetOf(location);
    expect(told).toBe(sent);
    expect((await patch(location, told, bytes.subarray(told))).status).toBe(204);
    expect(await answered(slow)).toMatchObject({ status: 423, code: 'upload_taken_over' });
    await expectBytes(location, bytes);
  });

  test('a PATCH behind what is committed is refused, and interrupts nobody', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(service.url, SIZE, { filename: 'behind', md5: md5(bytes) });
    expect((await patch(location, 0, bytes.subarray(0, 100_000))).status).toBe(204);
    const running = openPatch(location, 100_000, SIZE - 100_000);
    await running.write(bytes.subarray(100_000, 500_000));
    await service.untilTaken(location, 500_000);

    for (const offset of [0, 99_999]) {
      const refused = await patch(location, offset, bytes.subarray(offset, offset + 1000));
      expect(refused).toMatchObject({ status: 409, headers: { 'upload-offset': '500000' } });
    }
    await running.write(bytes.subarray(500_000));
    running.end();
    expect((await answered(running)).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('many PATCHes at once to one upload end in one right file', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(service.url, SIZE, { filename: 'crowd', md5: md5(bytes) });
    let done = false;
    async function push(): Promise<void> {
      while (!done) {
        const state = await head(location);
        const offset = Number(state.headers['upload-offset']);
        if (offset === SIZE) return;
        const answer = await patch(location, offset, bytes.subarray(offset, offset + SIZE / 8));
        // Never anything that would make a client begin anew, or give up.
        expect([204, 409, 423]).toContain(answer.status);
        done ||= answer.headers['upload-offset'] === String(SIZE);
      }
    }
    await Promise.all(Array.from({ length: 3 }, push));
    await expectBytes(location, bytes);
    expect((await listFiles(service)).filter(({ name }) => name === 'crowd')).toHaveLength(1);
  });

  test('after a peer vanished silently, HEAD and PATCH are answered at once', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const line = await openLine({ toPort: service.port });
    onTestFinished(() => line.close());
    const location = await createUpload(line.url, SIZE, { filename: 'half-open', md5: md5(bytes) });
    const vanished = openPatch(location, 0, SIZE);
    await vanished.write(bytes.subarray(0, 900_000));
    const direct = service.url + new URL(location).pathname;
    await until('the line has passed them on', () => line.sentBytes() > 900_000);
    await service.untilTaken(direct, 900_000);
    line.freeze();

    const begun = Date.now();
    const offset = await offsetOf(direct);
    expect((await patch(direct, offset, bytes.subarray(offset))).status).toBe(204);
    // Neither for the lock, for 10 s, nor for the peer, for 5 minutes.
    expect(Date.now() - begun).toBeLessThan(9000);
    expect(offset).toBe(900_000);
    await expectBytes(direct, bytes);
    vanished.destroy();
  });

  test('looking never disturbs a running PATCH', async () => {
    const bytes = makeBytes(SIZE, seed++);
    const digest = md5(bytes);
    const location = await createUpload(service.url, SIZE, { filename: 'looked-at', md5: digest });
    const running = openPatch(location, 0, SIZE);
    let told = 0;
    for (let at = 0; at < SIZE; at += SIZE / 8) {
      await running.write(bytes.subarray(at, at + SIZE / 8));
      const looks = await Promise.all([
        ...Array.from({ length: 10 }, () => head(location)),
        send('GET', `${service.url}/check?md5=${digest}`),
        send('GET', `${service.url}/api/files`),
        send('GET', location),
      ]);
      for (const look of looks.slice(0, 10)) {
        expect(look.status).toBe(200);
        const offset = Number(look.headers['upload-offset']);
        expect(offset).toBeGreaterThanOrEqual(told);
        expect(offset).toBeLessThanOrEqual(at + SIZE / 8);
        told = offset;
      }
      expect(looks.slice(10, 12).map(({ status }) => status)).toEqual([200, 200]);
    }
    running.end();
    expect((await answered(running)).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('looking right after a restart does not disturb the PATCH that comes with it', async () => {
    const bytes = makeBytes(SIZE, seed++);
    for (let round = 0; round < 2; round++) {
      const locations = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          createUpload(service.url, SIZE, { filename: `look-${round}-${index}` }),
        ),
      );
      await Promise.all(locations.map((location) => patch(location, 0, bytes.subarray(0, 1000))));
      await service.restart();
      await Promise.all(
        locations.map(async (location) => {
          const going = patch(location, 1000, bytes.subarray(1000, 100_000));
          const looks = await Promise.all(Array.from({ length: 4 }, () => head(location)));
          expect(looks.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
          expect(await going).toMatchObject({ status: 204 });
        }),
      );
    }
  });
});

/** Time on the processor so far, in clock ticks of 10 ms (proc(5): utime and stime, fields 14 and 15). */
async function ticksOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

// Skipped without strace and the right to trace: process-locker.test.ts has the timeout at the level of the locker.
test.skipIf(!CAN_TRACE)(
  'a holder that cannot finish: the waiting request gets 423 in time, and waiting costs no CPU',
  async () => {
    const waited = await startService({ env: { LOCK_TIMEOUT: '2s' } });
    onTestFinished(() => waited.stop());
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(waited.url, SIZE);
    expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
    const holder = openPatch(location, 1000, SIZE - 1000);
    await holder.write(bytes.subarray(1000, 2000));
    await until('the holder has its lease', async () => (await writtenBytes(waited, location)) === 2000);
    // The disk does not come back from syncing what the holder brought.
    const trace = await injectAt(waited.pid, 'fdatasync', 'delay_enter=10s:when=1', unfinishedPath(waited, location));
    await holder.write(bytes.subarray(2000, 50_000));
    const begun = Date.now();
    const waiting = Promise.all(Array.from({ length: 5 }, () => patch(location, 1000, bytes.subarray(1000, 2000))));
    // Looking waits a little, and then tells what is committed; the first commit may have come.
    expect(await offsetOf(location)).toBeLessThanOrEqual(2000);
    const before = await ticksOf(waited.pid);
    const answers = await waiting;
    expect((await ticksOf(waited.pid)) - before).toBeLessThan(50);
    for (const answer of answers) expect(answer).toMatchObject({ status: 423, code: 'upload_locked' });
    expect(Date.now() - begun).toBeGreaterThan(1900);
    expect(Date.now() - begun).toBeLessThan(9000);

    // The holder was asked to stop: it commits what it has as soon as it can.
    expect(await answered(holder)).toMatchObject({ status: 423, code: 'upload_taken_over' });
    await trace.stop();
    const offset = await offsetOf(location);
    expect(offset).toBe(50_000);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    await expectBytes(location, bytes);
  },
);
