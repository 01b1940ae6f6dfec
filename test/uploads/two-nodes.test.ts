/** Several nodes over one catalog and one store: a look disturbs no writer, a writer takes over, a dead node is fenced. */
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { type Catalog, CatalogError, NODE_DEAD_AFTER_MS, type UploadRecord } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createJobs } from '../../server/jobs/jobs.ts';
import { createProcessWake, type Wake } from '../../server/leases/wake.ts';
import { createMemoryDisk, type MemoryDisk } from '../../stores/memory/disk.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { aboutNode, timeBy } from '../catalog/fixtures.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type House, openHouse } from './support.ts';

const bytes = makeBytes(300_000, 57);
const NEVER = new AbortController().signal;

let catalog: Catalog;
let wake: Wake;
let disk: MemoryDisk;
let nowMs = 0;
let a: House;
let b: House;

beforeEach(async () => {
  nowMs = 0;
  const file = `${await makeTempFolder()}/catalog.db`;
  catalog = await openNewCatalog({ file, isShared: true, time: timeBy(() => nowMs) });
  onTestFinished(() => catalog.close());
  wake = createProcessWake();
  disk = createMemoryDisk();
  a = await openNode();
  b = await openNode();
});

function openNode(lockTimeoutMs = 10_000): Promise<House> {
  const store = openMemoryStore({ disk });
  return openHouse({}, { lockTimeoutMs }, { store, shared: { catalog, wake } });
}

/** What HEAD at a node tells; asked again where the holder took its time. */
function head({ uploads }: House, id: string): ReturnType<typeof expect.poll> {
  return expect.poll(() => uploads.view(id, 'anyone'));
}

interface Writing {
  source: PassThrough;
  /** How it ended; its lease is released then. */
  ended: Promise<unknown>;
}

async function rowOf(id: string): Promise<UploadRecord> {
  const row = await catalog.findUpload(id);
  if (!row) throw new Error('no such upload');
  return row;
}

/** A PATCH at where the upload stands. */
async function patch({ uploads }: House, id: string): Promise<Writing> {
  const writer = await uploads.open(id, 'anyone', { signal: NEVER });
  const source = new PassThrough();
  let isReading: () => void = () => undefined;
  const reading = new Promise<void>((resolve) => (isReading = resolve));
  async function receive(): Promise<unknown> {
    try {
      return await writer.append(source, { maxBytes: bytes.length, onReading: isReading });
    } catch (error) {
      return error;
    } finally {
      await writer.release();
    }
  }
  const ended = receive();
  await Promise.race([reading, ended]);
  return { source, ended };
}

/** Brings bytes, and waits until they have been taken from the connection. */
async function bring({ source }: Writing, from: number, to: number): Promise<void> {
  source.write(bytes.subarray(from, to));
  await expect.poll(() => source.readableLength).toBe(0);
}

async function downloaded(house: House): Promise<Buffer | undefined> {
  const [content] = await catalog.findContents({ md5: md5(bytes) });
  return content && buffer(await house.parts.store.readContent(content.key, undefined, NEVER));
}

test('HEAD at another node tells all that has come, and the PATCH keeps running', async () => {
  const id = await a.begin(bytes);
  const writing = await patch(a, id);
  await bring(writing, 0, 100_000);
  await head(b, id).toMatchObject({ offset: 100_000, state: 'receiving' });
  await bring(writing, 100_000, 200_000);
  await head(b, id).toMatchObject({ offset: 200_000, state: 'receiving' });
  writing.source.end(bytes.subarray(200_000));
  expect(await writing.ended).toMatchObject({ offset: bytes.length });
  expect(await b.uploads.view(id, 'anyone')).toMatchObject({ state: 'complete' });
  expect(await downloaded(b)).toEqual(bytes);
});

test('POST at one node, PATCH at another, PATCH at the first', async () => {
  const id = await a.begin(bytes);
  let at = 0;
  for (const [node, to] of [
    [b, 100_000],
    [a, 200_000],
    [b, 250_000],
    [a, bytes.length],
  ] as const) {
    const writing = await patch(node, id);
    writing.source.end(bytes.subarray(at, to));
    expect(await writing.ended).toMatchObject({ offset: to });
    at = to;
  }
  expect(await downloaded(a)).toEqual(bytes);
});

test('a node that starts, and does all its work in the background, ends no PATCH of another', async () => {
  const id = await a.begin(bytes);
  const writing = await patch(a, id);
  await bring(writing, 0, 100_000);
  const third = await openNode();
  const { parts, writers, recovery, finals } = third;
  for (const job of createJobs({ ...parts, writers, recovery, finals })) await job.round();
  writing.source.end(bytes.subarray(100_000));
  expect(await writing.ended).toMatchObject({ offset: bytes.length });
  expect(await downloaded(third)).toEqual(bytes);
});

test('a PATCH at another node takes over, from where all that had come ends', async () => {
  const id = await a.begin(bytes);
  const writing = await patch(a, id);
  await bring(writing, 0, 100_000);
  const next = await patch(b, id);
  expect(await writing.ended).toMatchObject({ code: 'upload_taken_over' });
  expect(await catalog.findUpload(id)).toMatchObject({ offset: 100_000, holder: b.parts.leases.node });
  next.source.end(bytes.subarray(100_000));
  expect(await next.ended).toMatchObject({ offset: bytes.length });
});

test('a PATCH waits for a holder at another node that cannot stop, and is refused in the end', async () => {
  const id = await a.begin(bytes);
  const writer = await a.uploads.open(id, 'anyone', { signal: NEVER });
  await expect(patch(await openNode(200), id)).rejects.toMatchObject({ code: 'upload_locked' });
  const waiting = patch(b, id);
  await writer.release();
  const { source, ended } = await waiting;
  source.end(bytes);
  expect(await ended).toMatchObject({ offset: bytes.length });
});

test('a node that was frozen beyond its lease can write nothing more', async () => {
  const id = await a.begin(bytes);
  const frozen = await patch(a, id);
  await bring(frozen, 0, 100_000);
  await head(b, id).toMatchObject({ offset: 100_000 });
  nowMs += NODE_DEAD_AFTER_MS;
  await catalog.beatNode(b.parts.leases.node);
  await catalog.joinNode(b.parts.leases.node, aboutNode());
  const next = await patch(b, id);
  await bring(next, 100_000, 200_000);
  // It wakes up, and writes as if nothing had happened.
  await bring(frozen, 100_000, 100_010);
  frozen.source.end(Buffer.alloc(bytes.length - 100_010));
  expect(await frozen.ended).toMatchObject({ code: 'upload_taken_over' });
  next.source.end(bytes.subarray(200_000));
  expect(await next.ended).toMatchObject({ offset: bytes.length });
  expect(await downloaded(a)).toEqual(bytes);
});

test('another node resumes what a dead one had committed; an upload with all its bytes is published by a look', async () => {
  const [half, whole] = [await a.begin(bytes), await a.begin(bytes)];
  const first = await patch(a, half);
  await bring(first, 0, 100_000);
  await head(b, half).toMatchObject({ offset: 100_000 });
  const writer = await a.uploads.open(whole, 'anyone', { signal: NEVER });
  const row = await rowOf(whole);
  await a.parts.store.writeUpload(PassThrough.from([bytes]), row, {
    digests: a.parts.digests,
    signal: NEVER,
    maxBytes: bytes.length,
    commit: async (commit) => {
      await catalog.commitOffset({ id: whole, epoch: writer.epoch, ...commit, idleMs: null, lifeMs: null });
    },
  });
  nowMs += NODE_DEAD_AFTER_MS;
  await catalog.joinNode(b.parts.leases.node, aboutNode());
  await head(b, half).toMatchObject({ offset: 100_000, state: 'receiving' });
  expect(await b.uploads.view(whole, 'anyone')).toMatchObject({ state: 'complete' });
  first.source.destroy(new Error('the node is dead'));
  await first.ended;
});

test('an upload with all its bytes, whose lease could not be given back, is published by a look at another node', async () => {
  const id = await a.begin(bytes);
  const { publish, releaseLease } = catalog;
  const fail = async (): Promise<never> => {
    throw new CatalogError('unavailable', 'away for a moment');
  };
  Object.assign(catalog, { publish: fail, releaseLease: fail });
  const writing = await patch(a, id);
  writing.source.end(bytes);
  expect(await writing.ended).toMatchObject({ code: 'store_unavailable' });
  Object.assign(catalog, { publish, releaseLease });
  expect(await catalog.findUpload(id)).toMatchObject({ offset: bytes.length, holder: a.parts.leases.node });
  await head(b, id).toMatchObject({ state: 'complete' });
  expect(await downloaded(b)).toEqual(bytes);
});

test('a lease whose taking was never answered is given back when somebody asks for it', async () => {
  const id = await a.begin(bytes);
  await catalog.takeLease(await rowOf(id), a.parts.leases.node);
  const writing = await patch(b, id);
  writing.source.end(bytes);
  expect(await writing.ended).toMatchObject({ offset: bytes.length });
});

test('a lease that could not be given back, or was taken unheard, is given back later, without a word between nodes', async () => {
  let lost: 'takeLease' | 'releaseLease' | undefined;
  async function losing<T>(name: typeof lost, run: () => Promise<T>): Promise<T> {
    if (name !== lost) return run();
    lost = undefined;
    // The one is done, and its answer is lost; the other is not.
    if (name === 'takeLease') await run();
    throw new CatalogError('unavailable', 'no answer');
  }
  const shaky: Catalog = {
    ...catalog,
    takeLease: (...args) => losing('takeLease', () => catalog.takeLease(...args)),
    releaseLease: (...args) => losing('releaseLease', () => catalog.releaseLease(...args)),
  };
  const open = (shared: Catalog): Promise<House> =>
    openHouse(
      {},
      { lockTimeoutMs: 50 },
      {
        store: openMemoryStore({ disk }),
        shared: { catalog: shared, wake: createProcessWake() },
      },
    );
  const [failing, other] = [await open(shaky), await open(catalog)];
  const id = await failing.begin(bytes);
  const opening = ({ uploads }: House) => uploads.open(id, 'anyone', { signal: NEVER });
  for (const what of ['takeLease', 'releaseLease'] as const) {
    lost = what;
    if (what === 'takeLease') await expect(opening(failing)).rejects.toMatchObject({ code: 'store_unavailable' });
    else await (await opening(failing)).release();
    await expect(opening(other), what).rejects.toMatchObject({ code: 'upload_locked' });
    await failing.parts.leases.giveBackLeft();
    await (await opening(other)).release();
  }
});
