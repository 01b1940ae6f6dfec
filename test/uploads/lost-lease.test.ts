/** A writer that has lost its lease to another node: with the real catalog, store and digests. */
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import type { Lease } from '../../server/locks/locker.ts';
import { TidemarkError } from '../../server/uploads/errors.ts';
import type { Parts } from '../../server/uploads/parts.ts';
import { endWithoutBytes } from '../../server/uploads/missing-bytes.ts';
import { finish, receive } from '../../server/uploads/receive.ts';
import type { Writers } from '../../server/uploads/writers.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { describeOverStores } from '../support/stores.ts';
import { openHouse } from './support.ts';

const bytes = makeBytes(300_000, 55);
const NEVER = new AbortController().signal;

const TAKEN_OVER = expect.objectContaining({ code: 'upload_taken_over', status: 423 });

describeOverStores((store) => {
  let parts: Parts;
  let writers: Writers;
  let id: string;
  let upload: UploadRecord;
  let lease: Lease;

  beforeEach(async () => {
    const house = await openHouse(store.newPlace());
    ({ parts, writers } = house);
    id = await house.begin(bytes);
    upload = await house.uploads.peek(id);
    lease = await house.uploads.acquire(upload, { signal: NEVER, onAsked: () => undefined });
  });

  afterEach(() => lease.release());

  function write(source: PassThrough): ReturnType<typeof receive> {
    return receive(parts, writers, upload, source, { lease, signal: NEVER, maxBytes: bytes.length });
  }

  test('cannot move the offset', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await parts.catalog.nextEpoch(id);
    source.destroy(new Error('line cut'));
    await expect(writing).rejects.toEqual(TAKEN_OVER);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ offset: 0, state: 'receiving' });
  });

  test('cannot publish with its last byte', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await parts.catalog.nextEpoch(id);
    source.end(bytes.subarray(100_000));
    await expect(writing).rejects.toEqual(TAKEN_OVER);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ offset: 0, state: 'receiving', fileId: null });
    expect(await parts.catalog.findContents({ md5: md5(bytes) })).toEqual([]);
  });

  test('cannot publish what was committed before, nor reject or end it', async () => {
    const half = new PassThrough();
    const writing = write(half);
    half.end(bytes.subarray(0, 100_000));
    expect(await writing).toMatchObject({ offset: 100_000, file: null });
    await parts.catalog.nextEpoch(id);
    await expect(write(new PassThrough().end(bytes.subarray(100_000)))).rejects.toEqual(TAKEN_OVER);
    await expect(finish(parts, writers, id, lease)).rejects.toBeInstanceOf(TidemarkError);
    expect(await parts.catalog.endUpload(id, lease.epoch, 'rejected', 'digest_mismatch', Date.now())).toBe(false);
    expect(await parts.catalog.declareLength(id, lease.epoch, 5)).toBe(false);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ offset: 100_000, state: 'receiving' });
  });

  test('cannot end it for bytes that are gone: who took it may have published them', async () => {
    await parts.catalog.nextEpoch(id);
    await expect(endWithoutBytes(parts, id, lease.epoch, new Error('gone'))).rejects.toEqual(TAKEN_OVER);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ state: 'receiving' });
  });

  test('the one who took it goes on, and all is right', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await parts.catalog.nextEpoch(id);
    source.destroy(new Error('line cut'));
    await expect(writing).rejects.toEqual(TAKEN_OVER);
    await lease.release();

    lease = await writers.acquire(await current(), { signal: NEVER, onAsked: () => undefined });
    const { offset } = await current();
    const received = await write(new PassThrough().end(bytes.subarray(offset)));
    expect(received.file).toMatchObject({ name: 'a', content: { md5: md5(bytes), size: bytes.length } });
    const key = received.file?.content.key ?? '';
    expect(md5(await buffer(await parts.store.readContent(key)))).toBe(md5(bytes));
  });

  async function current(): Promise<NonNullable<Awaited<ReturnType<typeof parts.catalog.findUpload>>>> {
    const found = await parts.catalog.findUpload(id);
    if (!found) throw new Error('no such upload');
    return found;
  }
});
