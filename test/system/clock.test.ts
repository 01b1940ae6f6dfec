/** A clock that jumps ends no unfinished upload: its life must have passed by the machine's own count of time, too. */
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeShiftingClock, type ShiftingClock } from '../harness/shifting-clock.ts';
import { describeOverFolderAndBucket, type StoredService, type TestStore } from '../harness/stores.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { expectBytes, offsetOf } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

const HOUR_MS = 3_600_000;
const bytes = makeBytes(300_000, 77);
const HALF = 150_000;

async function start(store: TestStore, env = {}): Promise<{ service: StoredService; clock: ShiftingClock }> {
  const clock = await makeShiftingClock();
  const place = store.newPlace();
  const NODE_OPTIONS = `${place['NODE_OPTIONS'] ?? ''} ${clock.option}`;
  const service = await store.startService({ ...place, NODE_OPTIONS, ...env });
  onTestFinished(() => service.stop());
  return { service, clock };
}

async function beginUpload(service: StoredService): Promise<string> {
  const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
  expect((await patch(location, 0, bytes.subarray(0, HALF))).status).toBe(204);
  return location;
}

async function finishUpload(location: string): Promise<void> {
  expect(await offsetOf(location)).toBe(HALF);
  expect((await patch(location, HALF, bytes.subarray(HALF))).status).toBe(204);
  await expectBytes(location, bytes);
}

/** How often its log tells of a jump. */
function jumps(service: StoredService, direction: 'ahead' | 'back'): number {
  return service.output().split(`the clock jumped ${direction}`).length - 1;
}

// A gateway refuses what is signed with a clock that is off, so that a bucket's uploads rest until the clock is right.
describeOverFolderAndBucket((store) => {
  test('a clock that runs 25 hours ahead for a while', async () => {
    const { service, clock } = await start(store);
    const location = await beginUpload(service);
    await clock.shift(service, 25 * HOUR_MS);
    expect((await head(location)).status).toBe(200);
    expect(JSON.parse((await send('GET', `${service.url}/check?md5=${md5(bytes)}`)).body)).toMatchObject({
      resume: { offset: HALF, idle: expect.toSatisfy((seconds: number) => seconds < 600) },
    });
    await clock.shift(service, 0);
    await finishUpload(location);
    expect([jumps(service, 'ahead'), jumps(service, 'back')]).toEqual([1, 1]);
  });

  test('a clock that is set back, with an upload begun meanwhile', async () => {
    const { service, clock } = await start(store);
    const before = await beginUpload(service);
    await clock.shift(service, -25 * HOUR_MS);
    const meanwhile = await createUpload(service.url, bytes.length);
    expect((await head(before)).status).toBe(200);
    await clock.shift(service, 0);
    expect((await head(meanwhile)).status).toBe(200);
    await finishUpload(before);
    expect([jumps(service, 'ahead'), jumps(service, 'back')]).toEqual([1, 1]);
  });
});

// Which boot it is, only Linux tells: elsewhere a start believes the clock.
test.skipIf(!IS_LINUX)('a start while the clock is ahead, and its expiry job', async () => {
  const { LOCAL } = await import('../harness/stores.ts');
  const { service, clock } = await start(LOCAL);
  const location = await beginUpload(service);
  await clock.shiftNext(25 * HOUR_MS);
  await service.restart();
  expect((await head(location)).status).toBe(200);
  await expect.poll(() => service.output()).toContain('the clock is ahead');
  await clock.shift(service, 0);
  await finishUpload(location);
  await clock.shiftNext(0);
  await service.restart();
  await expectBytes(location, bytes);
});
