/** The life of uploads with time that passes when the test says so, and chance that repeats. */
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { createFaults } from '../../stores/memory/faults.ts';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { CatalogError } from '../../server/catalog/catalog.ts';
import { createJobs, runJobs } from '../../server/jobs/jobs.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { type House, openHouse } from './support.ts';

const bytes = makeBytes(50_000, 8);
const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;
const DECLARATION = { size: bytes.length, md5: md5(bytes), sha1: null, sha256: null, filetype: null, metadata: '' };

async function openVirtual(seed: number) {
  const surroundings = createVirtualSurroundings(seed);
  const faults = createFaults();
  const store = openMemoryStore({ disk: createMemoryDisk(), surroundings, faults });
  const house = await openHouse({}, { uploadTtlMs: HOUR_MS, lockTimeoutMs: HOUR_MS }, { surroundings, store });
  return { house, surroundings, faults };
}

function publish({ uploads }: House, filename: string) {
  const request = { owner: 'anyone', declaration: { ...DECLARATION, size: null, filename } };
  return uploads.receiveWhole(request, Readable.from([bytes]), NEVER);
}

test('the same seed gives the same files, and another seed gives others', async () => {
  const files = [];
  for (const seed of [1, 1, 2]) {
    const { house, surroundings } = await openVirtual(seed);
    const { file } = await publish(house, 'a.txt');
    await surroundings.advance(HOUR_MS);
    const { file: later } = await publish(house, 'b.txt');
    expect(later.uploadedAt - file.uploadedAt).toBe(HOUR_MS);
    const row = await house.parts.catalog.findFile(file.id, null);
    files.push([file.id, row?.content.key, later.id]);
  }
  expect(files[1]).toEqual(files[0]);
  expect(files[2]?.[0]).not.toBe(files[0]?.[0]);
});

test('an upload expires, by a job, once its life has passed on the clock that was handed in', async () => {
  const { house, surroundings } = await openVirtual(1);
  const id = await house.begin(bytes);
  const jobs = createJobs({ ...house.parts, writers: house.writers, recovery: house.recovery, finals: house.finals });
  const working = runJobs(jobs, house.parts);
  const state = async () => (await house.parts.catalog.findUpload(id))?.state;
  await expect.poll(() => surroundings.pending()).toBe(jobs.length);
  await surroundings.advance(HOUR_MS / 2);
  await expect.poll(() => surroundings.pending()).toBe(jobs.length);
  expect(await state()).toBe('receiving');
  await surroundings.advance(HOUR_MS);
  await expect.poll(state).toBe('expired');
  house.stop();
  await working;
});

test('who asks for an offset waits by the timers that were handed in', async () => {
  const { house, surroundings, faults } = await openVirtual(1);
  const id = await house.begin(bytes);
  const writer = await house.uploads.open(id, 'anyone', { signal: NEVER });
  let letGo: () => void = () => undefined;
  const { reached } = faults.order({ call: 'sync', until: new Promise<void>((resolve) => (letGo = resolve)) });
  const source = new Readable({ read: () => undefined });
  const writing = writer.append(source, { maxBytes: bytes.length });
  source.push(bytes.subarray(0, 1000));
  const asked = house.uploads.view(id, 'anyone');
  await reached;
  await surroundings.advance(HOUR_MS);
  // The disk hangs: the committed offset is told.
  expect(await asked).toMatchObject({ offset: 0 });
  letGo();
  source.push(bytes.subarray(1000));
  source.push(null);
  expect(await writing).toMatchObject({ file: { content: { md5: md5(bytes) } } });
  await writer.release();
});

test('a key that other bytes occupy ends a publication, where the store has no other one for it', async () => {
  const { house, faults } = await openVirtual(1);
  for (let time = 0; time < 3; time++) faults.order({ call: 'finalize', error: 'occupied' });
  await expect(publish(house, 'a.txt')).rejects.toMatchObject({ code: 'internal' });
  expect(await house.parts.catalog.findContents({ md5: md5(bytes) })).toEqual([]);
});

test('a form whose publication was recorded, though its answer was lost, takes no file away', async () => {
  const { house } = await openVirtual(1);
  const { catalog } = house.parts;
  const { file } = await publish(house, 'a.txt');
  const recorded = catalog.publish.bind(catalog);
  catalog.publish = async (publication) => {
    await recorded(publication);
    throw new CatalogError('unavailable', 'the answer was lost');
  };
  const request = { owner: 'anyone', declaration: { ...DECLARATION, size: null, filename: 'a.txt' } };
  await expect(house.uploads.receiveWhole(request, Readable.from([bytes]), NEVER)).rejects.toMatchObject({
    code: 'store_unavailable',
  });
  expect(await catalog.findFile(file.id, 'anyone')).toMatchObject({ name: 'a.txt' });
});
