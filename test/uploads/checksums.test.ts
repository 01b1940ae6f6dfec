/** Requests with a checksum: they count as a whole, or not at all. */
import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { ChecksumAlgorithm, ExpectedChecksum } from '../../server/uploads/checksums.ts';
import type { Received } from '../../server/uploads/contract.ts';
import type { Writer } from '../../server/uploads/writer.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type House, openHouse } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;
const bytes = makeBytes(300_000, 47);
const HALF = 150_000;

async function withWriter<T>({ uploads }: House, id: string, use: (writer: Writer) => Promise<T>): Promise<T> {
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    return await use(writer);
  } finally {
    await writer.release();
  }
}

function append(
  house: House,
  id: string,
  {
    from = 0,
    to = bytes.length,
    ...options
  }: { from?: number; to?: number; checksum?: ExpectedChecksum[]; length?: number },
): Promise<Received> {
  const source = Readable.from([bytes.subarray(from, to)]);
  return withWriter(house, id, (writer) => writer.append(source, { maxBytes: bytes.length - from, ...options }));
}

function sha1Of(part: Buffer): ExpectedChecksum[] {
  return [{ algorithm: 'sha1', expected: createHash('sha1').update(part).digest() }];
}

const WRONG: ExpectedChecksum[] = [{ algorithm: 'sha1', expected: Buffer.alloc(20) }];

describe('a request with a checksum', () => {
  // RFC 3720, B.4, has the CRC of 32 zeros.
  const zeros = Buffer.alloc(32);
  test.each<[ChecksumAlgorithm, Buffer]>([
    ...(['md5', 'sha1', 'sha256', 'sha512'] as const).map((algorithm): [ChecksumAlgorithm, Buffer] => [
      algorithm,
      createHash(algorithm).update(zeros).digest(),
    ]),
    ['crc32c', Buffer.from('8a9136aa', 'hex')],
  ])('of %s counts where it is right, and not where a bit of it is wrong', async (algorithm, right) => {
    const house = await openHouse({});
    const id = await house.begin(zeros);
    const wrong = Buffer.from(right);
    wrong[right.length - 1]! ^= 1;
    for (const expected of [wrong, right.subarray(1), right]) {
      const source = Readable.from([zeros.subarray(0, 7), zeros.subarray(7)]);
      const answer = withWriter(house, id, (writer) =>
        writer.append(source, { maxBytes: 32, checksum: [{ algorithm, expected }] }),
      );
      if (expected === right) expect((await answer).file?.content.md5).toBe(md5(zeros));
      else await expect(answer).rejects.toMatchObject({ code: 'checksum_mismatch' });
    }
  });

  test('of CRC32C is computed beside others', async () => {
    const house = await openHouse({});
    const expected = Buffer.from('8a9136aa', 'hex');
    const all = [0, 1, 2].map(async (at) => {
      const source = new PassThrough();
      const received = withWriter(house, await house.begin(Buffer.concat([zeros, Buffer.of(at)])), (writer) =>
        writer.append(source, { maxBytes: 33, checksum: [{ algorithm: 'crc32c', expected }] }),
      );
      return { source, received };
    });
    const running = await Promise.all(all);
    for (let at = 0; at < 32; at += 8) for (const { source } of running) source.write(zeros.subarray(at, at + 8));
    for (const { source } of running) source.end();
    for (const { received } of running) expect((await received).offset).toBe(32);
  });

  test('that is wrong leaves the upload as it was: it can be continued', async () => {
    const house = await openHouse({});
    const id = await house.begin(bytes);
    await append(house, id, { to: HALF, checksum: sha1Of(bytes.subarray(0, HALF)) });
    const before = await house.uploads.view(id, OWNER);
    await expect(append(house, id, { from: HALF, checksum: WRONG })).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await house.uploads.view(id, OWNER)).toMatchObject({ offset: HALF, expiresAt: before.expiresAt });
    const done = await append(house, id, { from: HALF, checksum: sha1Of(bytes.subarray(HALF)) });
    expect(done.file?.content.md5).toBe(md5(bytes));
  });

  test('of several algorithms counts where all match that came', async () => {
    const house = await openHouse({});
    const id = await house.begin(bytes);
    const md5Of: ExpectedChecksum = { algorithm: 'md5', expected: () => null };
    await expect(append(house, id, { checksum: [...sha1Of(bytes), ...WRONG] })).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect((await append(house, id, { checksum: [md5Of, ...sha1Of(bytes)] })).file?.content.md5).toBe(md5(bytes));
  });

  test('fails with what fails while the checksum is asked for, which comes after the bytes', async () => {
    const house = await openHouse({});
    const id = await house.begin(bytes);
    const reason = new Error('no checksum came');
    function expected(): never {
      throw reason;
    }
    await expect(append(house, id, { checksum: [{ algorithm: 'md5', expected }] })).rejects.toBe(reason);
    expect((await house.uploads.view(id, OWNER)).offset).toBe(0);
  });

  test('declares its length together with its bytes, or not at all', async () => {
    const house = await openHouse({});
    const id = await house.begin(bytes, { size: null });
    await expect(append(house, id, { length: bytes.length, checksum: WRONG })).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await house.uploads.view(id, OWNER)).toMatchObject({ offset: 0, size: null });
    const done = await append(house, id, { length: bytes.length, checksum: sha1Of(bytes) });
    expect(done.file?.content).toMatchObject({ md5: md5(bytes), size: bytes.length });
  });

  test('has nothing committed by one who asks for the offset', async () => {
    const house = await openHouse({});
    const id = await house.begin(bytes);
    const source = new PassThrough();
    source.write(bytes.subarray(0, HALF));
    await withWriter(house, id, async (writer) => {
      let received: Promise<Received> | undefined;
      await new Promise<void>((onReading) => {
        received = writer.append(source, { maxBytes: bytes.length, checksum: sha1Of(bytes), onReading });
      });
      expect((await house.uploads.view(id, OWNER)).offset).toBe(0);
      source.end(bytes.subarray(HALF));
      expect((await received)?.file?.content.md5).toBe(md5(bytes));
    });
  });
});
