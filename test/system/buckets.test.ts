/** A service whose bytes live in a bucket, and what is a bucket’s alone: parts, memory, a provider that is away, settings. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFaultyBuckets, type FaultyBucket } from '../harness/faulty-bucket.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { startService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { REFUSED_FOR_OSS, WRONG_SETTINGS } from '../harness/wrong-settings.ts';
import { refusal, refusalHere } from './refused-start-support.ts';
import { answered, expectBytes, listFiles, offsetOf, openPatch, until } from './support.ts';

await import(RESOLVE_HERE);

/** Of parts of 1 MiB, and more of them than there is memory for. */
const FEW_PARTS = { S3_PART_BYTES: '1MiB', S3_BUFFER_BYTES: '32MiB' };
const LARGE_PART = 1024 * 1024;
const SLOW_CLIENTS = 36;

/** Every test leaves an empty bucket, so that nothing forgotten goes unseen. */
async function leavesNothing({ service, bucket }: FaultyBucket): Promise<void> {
  for (const { id } of await listFiles(service)) await send('DELETE', `${service.url}/api/files/${id}`);
  const left = await bucket.keys();
  if (left.length > 0) throw new Error(`left in the bucket: ${left.join(', ')}`);
}

/** While a part does not arrive, HEAD waits no longer for what comes after it. */
const QUICKER = { LOCK_TIMEOUT: '2s' };

describeOverFaultyBuckets('a service', { service: 'shared', env: QUICKER, afterTest: leavesNothing }, (ground) => {
  test('takes files of all sizes by tus and by form, and gives them back in parts', async () => {
    for (const size of [0, 1, PART - 1, PART, PART + 1, 3 * PART - 7]) {
      const bytes = makeBytes(size, 61);
      const location = await createUpload(ground.service.url, size, { filename: 'ä 名.bin', md5: md5(bytes) });
      if (size > 0) expect((await patch(location, 0, bytes)).status).toBe(204);
      expect(await offsetOf(location)).toBe(size);
      await expectBytes(location, bytes);
      if (size < 10) continue;
      const range = await fetch(location, { headers: { Range: `bytes=${size - 7}-${size + 100}` } });
      expect(range.status).toBe(206);
      expect(Buffer.from(await range.arrayBuffer()).equals(bytes.subarray(size - 7))).toBe(true);
    }
    const bytes = makeBytes(PART + 3, 62);
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(bytes)]), 'form.bin');
    const answer = await fetch(`${ground.service.url}/upload`, { method: 'POST', body: form });
    const { status, url } = (await answer.json()) as { status: string; url: string };
    expect(status).toBe('ok');
    await expectBytes(url, bytes);
  });

  test.each([1, 3])('a hole at part %i does not count when it is killed before that is filled', async (hole) => {
    const bytes = makeBytes(4 * PART - 3, 72);
    const location = await createUpload(ground.service.url, bytes.length, { md5: md5(bytes) });
    const before = ground.proxy.calls().length;
    ground.proxy.place({ operation: 'UploadPart', partNumber: hole, times: Infinity, fault: { kind: 'stall' } });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes);
    await until('the other parts are stored', () => {
      const parts = ground.proxy.calls().slice(before);
      return parts.filter(({ operation, status }) => operation === 'UploadPart' && status === 200).length === 3;
    });
    await until('those before it count', async () => (await offsetOf(location)) === (hole - 1) * PART);
    await ground.service.kill('SIGKILL');
    ground.proxy.clear();
    await sending.answer;
    await ground.service.restart();
    expect(await offsetOf(location)).toBe((hole - 1) * PART);
    expect((await patch(location, (hole - 1) * PART, bytes.subarray((hole - 1) * PART))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('publishes once though it was killed while the parts were put together', async () => {
    for (const [index, at] of (['request', 'answer'] as const).entries()) {
      const fault = { kind: 'stall', at } as const;
      // Parts of bytes that are stored already would not be put together.
      const bytes = makeBytes(PART + 17, 6_700 + index);
      const location = await createUpload(ground.service.url, bytes.length, { filename: fault.at });
      const placed = ground.proxy.place({ operation: 'CompleteMultipartUpload', fault });
      const sending = openPatch(location, 0, bytes.length);
      await sending.write(bytes);
      await placed.hit;
      await ground.service.kill('SIGKILL');
      ground.proxy.clear();
      await sending.answer;
      await ground.service.restart();
      expect(await offsetOf(location)).toBe(bytes.length);
      await expectBytes(location, bytes);
      expect((await listFiles(ground.service)).filter((file) => file.name === fault.at)).toHaveLength(1);
    }
  });

  test('answers 503 with Retry-After while the bucket is away, keeps what it has, and resumes', async () => {
    const bytes = makeBytes(3 * PART, 68);
    const location = await createUpload(ground.service.url, bytes.length);
    expect((await patch(location, 0, bytes.subarray(0, PART + 100))).status).toBe(204);
    const away = ground.proxy.place({ times: Infinity, fault: { kind: 'reset' } });
    const refused = await patch(location, PART + 100, bytes.subarray(PART + 100));
    expect(refused).toMatchObject({ status: 503, code: 'store_unavailable' });
    expect(refused.headers['retry-after']).toBe('5');
    expect((await head(location)).headers['upload-offset']).toBe(String(PART + 100));
    expect((await send('GET', `${ground.service.url}/readyz`)).status).toBe(503);
    away.remove();
    expect((await patch(location, PART + 100, bytes.subarray(PART + 100))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('serves a fast client while slow ones hold open more parts than there is memory for', async () => {
    await ground.service.restart(FEW_PARTS);
    const slow = await Promise.all(
      Array.from({ length: SLOW_CLIENTS }, async (_, index) => {
        const bytes = makeBytes(LARGE_PART + 1000, 500 + index);
        const location = await createUpload(ground.service.url, bytes.length, { filename: `slow-${index}` });
        const request = openPatch(location, 0, bytes.length);
        await request.write(bytes.subarray(0, 100_000));
        return { bytes, location, request };
      }),
    );
    const bytes = makeBytes(5 * LARGE_PART + 17, 600);
    const fast = await createUpload(ground.service.url, bytes.length, { md5: md5(bytes) });
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
});

describe('OSS, addressed as it cannot be', () => {
  test.each(REFUSED_FOR_OSS)('is refused at the start with the reason: $what', async ({ env, reason }) => {
    const attempt = expectNoStart(env);
    await expect(attempt).rejects.toThrow(/ended with 78:\nThe configuration is not valid:\n[^\n]*\n$/);
    await expect(attempt).rejects.toThrow(reason);
  });
});

describe.each(BUCKETS)('in a bucket of $name', ({ name, missing, start }) => {
  describe.skipIf(missing !== undefined)('a service that starts says in one sentence what is wrong with', () => {
    let bucket: SystemBucket;

    beforeAll(async () => {
      bucket = await start();
    });
    afterAll(() => bucket.stop());

    const wrong = WRONG_SETTINGS.filter(({ only = name }) => only === name);

    test.each(wrong)('$what', async ({ env, sentence }) => {
      const settings = { ...bucket.env(), ...(await env(bucket)) };
      const begun = Date.now();
      // Options of Node hold for a whole process; others start in this one, at a fifth of the cost.
      const isProcess = settings['NODE_OPTIONS'] !== bucket.env()['NODE_OPTIONS'];
      const refuse = isProcess ? refusal : refusalHere;
      expect(await refuse(await makeTempFolder(), settings)).toMatch(sentence);
      expect(Date.now() - begun).toBeLessThan(20_000);
    });

    test('its settings, and exits with 78', async () => {
      const settings = { ...bucket.env(), S3_BUCKET: 'no-such-bucket' };
      expect(await refusal(await makeTempFolder(), settings)).toMatch(/the bucket is not there: check S3_BUCKET/);
    });
  });
});

/** One that starts after all is stopped; the promise is to be rejected. */
async function expectNoStart(env: NodeJS.ProcessEnv): Promise<void> {
  await (await startService({ env })).stop();
}
