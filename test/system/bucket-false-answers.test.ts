/** One false answer of a bucket, or of what passes calls on to it, ends no upload and spoils no file. */
import { expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import type { FaultRule } from '../harness/fault-proxy.ts';
import { describeOverFaultyBuckets } from '../harness/faulty-bucket.ts';
import { PART } from '../harness/part.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { expectBytes, offsetOf } from './support.ts';

const TAIL = /tails\//;
/** Part 1 and the beginning of part 2. */
const FIRST = PART + 30_000;
const SIZE = 2 * PART + 17;

const FALSE_ANSWERS: { what: string; rules: FaultRule[] }[] = [
  { what: 'a tail with one bit flipped', rules: [{ operation: 'GetObject', key: TAIL, fault: { kind: 'flip' } }] },
  {
    what: 'a tail that is too short, by its Content-Length as well',
    rules: [{ operation: 'GetObject', key: TAIL, fault: { kind: 'shorten', byBytes: 1000 } }],
  },
  {
    what: 'NoSuchKey for a tail',
    rules: [{ operation: 'GetObject', key: TAIL, fault: { kind: 'deny', code: 'NoSuchKey' } }],
  },
  {
    what: 'NoSuchUpload for a part',
    rules: [{ operation: 'UploadPart', partNumber: 2, fault: { kind: 'deny', code: 'NoSuchUpload' } }],
  },
  {
    what: 'a wrong ETag for a part',
    rules: [{ operation: 'UploadPart', partNumber: 2, fault: { kind: 'wrongEtag' } }],
  },
  {
    what: 'a wrong ETag for a part, where the parts may not be listed',
    rules: [
      { operation: 'UploadPart', partNumber: 2, fault: { kind: 'wrongEtag' } },
      { operation: 'ListParts', times: Infinity, fault: { kind: 'answer', status: 403, code: 'AccessDenied' } },
    ],
  },
  {
    what: 'NoSuchUpload for a Complete that was not performed',
    rules: [{ operation: 'CompleteMultipartUpload', fault: { kind: 'deny', code: 'NoSuchUpload' } }],
  },
  {
    what: 'InvalidPart for a Complete that was not performed',
    rules: [{ operation: 'CompleteMultipartUpload', fault: { kind: 'deny', code: 'InvalidPart', status: 400 } }],
  },
  {
    what: 'nothing for a Complete that was performed, and then that there is no object',
    rules: [
      { operation: 'CompleteMultipartUpload', fault: { kind: 'loseAnswer' } },
      { operation: 'HeadObject', times: 2, fault: { kind: 'deny', code: 'NoSuchKey' } },
    ],
  },
];

describeOverFaultyBuckets('an upload outlives', { service: 'shared' }, (ground) => {
  let seed = 700;

  async function beginUpload(): Promise<{ bytes: Buffer; location: string }> {
    const bytes = makeBytes(SIZE, seed++);
    const location = await createUpload(ground.service.url, bytes.length, { md5: md5(bytes) });
    expect((await patch(location, 0, bytes.subarray(0, FIRST))).status).toBe(204);
    return { bytes, location };
  }

  test.each(FALSE_ANSWERS)('$what', async ({ rules }) => {
    const { bytes, location } = await beginUpload();
    const placed = rules.map((rule) => ground.proxy.place(rule));
    expect((await patch(location, FIRST, bytes.subarray(FIRST))).status).toBe(204);
    expect(placed.every((rule) => rule.hits() > 0)).toBe(true);
    await expectBytes(location, bytes);
  });

  test.each([
    { what: 'NoSuchKey for its tail', fault: { kind: 'deny', code: 'NoSuchKey' } },
    { what: 'a tail with one bit flipped', fault: { kind: 'flip' } },
    { what: 'a tail that is too short', fault: { kind: 'shorten', byBytes: 1 } },
  ] as const)('$what again and again, while another call says that it is there', async ({ fault }) => {
    const { bytes, location } = await beginUpload();
    const placed = ground.proxy.place({ operation: 'GetObject', key: TAIL, times: Infinity, fault });
    const refused = await patch(location, FIRST, bytes.subarray(FIRST));
    expect(refused).toMatchObject({ status: 503, code: 'store_unavailable' });
    expect(refused.headers['retry-after']).toBe('5');
    expect((await head(location)).headers['upload-offset']).toBe(String(FIRST));
    placed.remove();
    expect((await patch(location, FIRST, bytes.subarray(FIRST))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('NoSuchUpload for parts, however often, while ListParts says otherwise', async () => {
    const { bytes, location } = await beginUpload();
    const fault = { kind: 'deny', code: 'NoSuchUpload' } as const;
    const placed = ground.proxy.place({ operation: 'UploadPart', times: Infinity, fault });
    expect(await patch(location, FIRST, bytes.subarray(FIRST))).toMatchObject({ status: 503 });
    placed.remove();
    const offset = await offsetOf(location);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    await expectBytes(location, bytes);
  });
});
