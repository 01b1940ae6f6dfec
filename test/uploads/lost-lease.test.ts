/** A writer that has lost its lease to another node: with the real catalog, store and digests. */
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TidemarkError } from '../../server/uploads/errors.ts';
import type { Parts } from '../../server/uploads/parts.ts';
import { endWithoutBytes } from '../../server/uploads/missing-bytes.ts';
import type { Uploads } from '../../server/uploads/contract.ts';
import type { Writer } from '../../server/uploads/writer.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket } from '../harness/stores.ts';
import { openHouse } from './support.ts';

const bytes = makeBytes(300_000, 55);
const NEVER = new AbortController().signal;

const TAKEN_OVER = expect.objectContaining({ code: 'upload_taken_over' });

describeOverFolderAndBucket((store) => {
  let parts: Parts;
  let uploads: Uploads;
  let id: string;
  let writer: Writer;

  beforeEach(async () => {
    const house = await openHouse(store.newPlace());
    ({ parts, uploads } = house);
    id = await house.begin(bytes);
    writer = await open();
  });

  afterEach(() => writer.release());

  async function open(): Promise<Writer> {
    return uploads.open(id, 'anyone', { signal: NEVER });
  }

  /** Another node takes the lease, for which this one is dead. */
  async function takeAway(): Promise<void> {
    await parts.catalog.leaveNode(parts.leases.node);
    expect(await parts.catalog.takeLease(await current(), 'another')).toBeDefined();
  }

  function write(source: PassThrough): ReturnType<Writer['append']> {
    return writer.append(source, { maxBytes: bytes.length });
  }

  test('cannot move the offset', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await takeAway();
    source.destroy(new Error('line cut'));
    await expect(writing).rejects.toEqual(TAKEN_OVER);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ offset: 0, state: 'receiving' });
  });

  test('cannot publish with its last byte', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await takeAway();
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
    await takeAway();
    await expect(write(new PassThrough().end(bytes.subarray(100_000)))).rejects.toEqual(TAKEN_OVER);
    await expect(writer.finish()).rejects.toBeInstanceOf(TidemarkError);
    expect(await parts.catalog.endUpload(id, writer.epoch, 'rejected', 'digest_mismatch')).toBe(false);
    expect(await parts.catalog.declareLength(id, writer.epoch, 5)).toBe(false);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ offset: 100_000, state: 'receiving' });
  });

  test('cannot end it because its bytes are gone: the new holder may have published them', async () => {
    await takeAway();
    await expect(endWithoutBytes(parts, id, writer.epoch, new Error('gone'))).rejects.toEqual(TAKEN_OVER);
    expect(await parts.catalog.findUpload(id)).toMatchObject({ state: 'receiving' });
  });

  test('the new holder writes on, and the file is right', async () => {
    const source = new PassThrough();
    const writing = write(source);
    source.write(bytes.subarray(0, 100_000));
    await takeAway();
    source.destroy(new Error('line cut'));
    await expect(writing).rejects.toEqual(TAKEN_OVER);
    await writer.release();

    writer = await open();
    const { offset } = await current();
    const received = await write(new PassThrough().end(bytes.subarray(offset)));
    expect(received.file).toMatchObject({ name: 'a', content: { md5: md5(bytes), size: bytes.length } });
    const [content] = await parts.catalog.findContents({ md5: md5(bytes) });
    expect(md5(await buffer(await parts.store.readContent(content?.key ?? '')))).toBe(md5(bytes));
  });

  async function current(): Promise<NonNullable<Awaited<ReturnType<typeof parts.catalog.findUpload>>>> {
    const found = await parts.catalog.findUpload(id);
    if (!found) throw new Error('no such upload');
    return found;
  }
});
