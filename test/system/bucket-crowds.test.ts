/** Several at once on a bucket: slow clients hold nobody up, and the newer request at an upload takes over. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../support/buckets.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { type RunningService, startService } from '../support/service.ts';
import { createUpload, head, patch } from '../support/tus.ts';
import { answered, expectBytes, listFiles, offsetOf, openPatch } from './support.ts';

const MIB = 1024 * 1024;
const PART = 8 * MIB;
const SLOW_CLIENTS = 20;

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('in a bucket of $name', ({ missing, start }) => {
  describe.skipIf(missing !== undefined)('a service', () => {
    let bucket: SystemBucket;

    beforeAll(async () => {
      bucket = await start();
    });
    afterAll(() => bucket.stop());

    async function startOnBucket(env: NodeJS.ProcessEnv = {}): Promise<RunningService> {
      const service = await startService({ env: { ...bucket.env(), INSTANT: 'off', ...env } });
      onTestFinished(() => service.stop());
      return service;
    }

    test('serves a fast client while slow ones hold open more parts than there is memory for', async () => {
      const service = await startOnBucket({ S3_BUFFER_BYTES: '64MiB' });
      const slow = await Promise.all(
        Array.from({ length: SLOW_CLIENTS }, async (_, index) => {
          const bytes = makeBytes(PART + 1000, 500 + index);
          const location = await createUpload(service.url, bytes.length, { filename: `slow-${index}` });
          const request = openPatch(location, 0, bytes.length);
          await request.write(bytes.subarray(0, 100_000));
          return { bytes, location, request };
        }),
      );
      const bytes = makeBytes(5 * PART + 17, 600);
      const fast = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
      expect((await patch(fast, 0, bytes)).status).toBe(204);
      await expectBytes(fast, bytes);
      // They were not cut off for it.
      for (const { bytes: all, location, request } of slow) {
        await request.write(all.subarray(100_000));
        request.end();
        expect((await answered(request)).status).toBe(204);
        await expectBytes(location, all);
      }
    });

    test('lets the newer PATCH take over, and keeps what the older one had brought', async () => {
      const service = await startOnBucket();
      const bytes = makeBytes(2 * PART, 601);
      const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
      const slow = openPatch(location, 0, bytes.length);
      await slow.write(bytes.subarray(0, PART + MIB));
      await expect.poll(() => offsetOf(location), { timeout: 20_000 }).toBe(PART);

      const answer = await patch(location, PART, bytes.subarray(PART));
      expect(await answered(slow)).toMatchObject({ status: 423, code: 'upload_taken_over' });
      // The older one has parked what it had of the next part, if it came that far.
      if (answer.status === 409) {
        const now = Number(answer.headers['upload-offset']);
        expect(now).toBeGreaterThan(PART);
        expect((await patch(location, now, bytes.subarray(now))).status).toBe(204);
      } else {
        expect(answer.status).toBe(204);
      }
      await expectBytes(location, bytes);
    });

    test('makes one right file of many PATCHes at once', async () => {
      const service = await startOnBucket();
      const bytes = makeBytes(2 * PART + 5, 602);
      const location = await createUpload(service.url, bytes.length, { filename: 'crowd', md5: md5(bytes) });
      let done = false;
      async function push(): Promise<void> {
        while (!done) {
          const offset = Number((await head(location)).headers['upload-offset']);
          if (offset === bytes.length) return;
          const answer = await patch(location, offset, bytes.subarray(offset, offset + 3 * MIB));
          expect([204, 409, 423]).toContain(answer.status);
          done ||= answer.headers['upload-offset'] === String(bytes.length);
        }
      }
      await Promise.all([push(), push(), push(), push()]);
      await expectBytes(location, bytes);
      expect((await listFiles(service)).filter(({ name }) => name === 'crowd')).toHaveLength(1);
    });
  });
});
