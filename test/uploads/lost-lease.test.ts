/** A writer that has lost its lease to another node: with the real catalog, store and digests. */
import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import type { Lease } from '../../server/locks/locker.ts';
import { createProcessLocker } from '../../server/locks/process-locker.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { TidemarkError } from '../../server/uploads/errors.ts';
import { createKeyedMutex } from '../../server/uploads/keyed-mutex.ts';
import type { Parts } from '../../server/uploads/parts.ts';
import { finish, receive } from '../../server/uploads/receive.ts';
import { createUploads } from '../../server/uploads/uploads.ts';
import { createWriters, type Writers } from '../../server/uploads/writers.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { makeTempFolder } from '../support/temp-folder.ts';

const bytes = makeBytes(300_000, 55);

let parts: Parts;
let writers: Writers;
let id: string;
let upload: UploadRecord;
let lease: Lease;
let stopping: AbortController;

beforeEach(async () => {
  const folder = await makeTempFolder();
  const catalog = await openSqliteCatalog({ file: `${folder}/catalog.db` });
  stopping = new AbortController();
  parts = {
    catalog,
    store: await openLocalStore({ folder: `${folder}/files` }),
    locker: createProcessLocker({ nextEpoch: (uploadId) => catalog.nextEpoch(uploadId) }),
    digests: createDigestPool(['md5']),
    limits: { maxFileSizeBytes: null, uploadTtlMs: 60_000, lockTimeoutMs: 1000, instant: 'owner' },
    log: pino({ level: 'silent' }),
    contentMutex: createKeyedMutex(),
    stopping: stopping.signal,
  };
  writers = createWriters(parts);
  const uploads = createUploads(parts, writers, () => Promise.reject(new Error('not used here')));
  id = randomUUID();
  const declaration = {
    size: bytes.length,
    md5: md5(bytes),
    sha1: null,
    sha256: null,
    filename: 'a',
    filetype: null,
    metadata: '',
  };
  upload = await uploads.begin({ id, owner: 'anyone', declaration });
  lease = await uploads.acquire(upload, { signal: stopping.signal, onAsked: () => undefined });
});

afterEach(async () => {
  await lease.release();
  await parts.digests.close();
  await parts.catalog.close();
});

function write(source: PassThrough): ReturnType<typeof receive> {
  return receive(parts, writers, upload, source, { lease, signal: stopping.signal, maxBytes: bytes.length });
}

const TAKEN_OVER = expect.objectContaining({ code: 'upload_taken_over', status: 423 });

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

test('the one who took it goes on, and all is right', async () => {
  const source = new PassThrough();
  const writing = write(source);
  source.write(bytes.subarray(0, 100_000));
  await parts.catalog.nextEpoch(id);
  source.destroy(new Error('line cut'));
  await expect(writing).rejects.toEqual(TAKEN_OVER);
  await lease.release();

  lease = await writers.acquire(await current(), { signal: stopping.signal, onAsked: () => undefined });
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
