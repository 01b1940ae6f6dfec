/** When a node looks for uploads that others left behind: once something was left, and until nothing is. */
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { type Catalog, NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import type { Job } from '../../server/jobs/job.ts';
import { abandonedJob } from '../../server/jobs/unpublished.ts';
import { createProcessWake, type Wake } from '../../server/leases/wake.ts';
import { createMemoryDisk, type MemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults, type Faults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { aboutNode, timeBy } from '../catalog/fixtures.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createVirtualSurroundings, type VirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { type House, openHouse } from '../uploads/support.ts';

const bytes = makeBytes(100_000, 61);
const HOUR_MS = 3_600_000;

let catalog: Catalog;
let wake: Wake;
let disk: MemoryDisk;
let faults: Faults;
let time: VirtualSurroundings;
/** How often all uploads were looked at. */
let looks = 0;
/** The node that looks, and does nothing else. */
let worker: House;
let job: Job;

beforeEach(async () => {
  time = createVirtualSurroundings();
  const file = `${await makeTempFolder()}/catalog.db`;
  const opened = await openNewCatalog({ file, isShared: true, time: timeBy(() => time.wallMs()) });
  onTestFinished(() => opened.close());
  catalog = {
    ...opened,
    listAbandoned: (after, limit) => {
      looks += 1;
      return opened.listAbandoned(after, limit);
    },
  };
  wake = createProcessWake();
  disk = createMemoryDisk();
  faults = createFaults();
  worker = await openNode();
  const { parts, writers, recovery, finals } = worker;
  job = abandonedJob({ ...parts, writers, recovery, finals });
  looks = 0;
});

function openNode(): Promise<House> {
  const store = openMemoryStore({ disk, faults, surroundings: time });
  return openHouse({}, {}, { store, surroundings: time, time: timeBy(() => time.wallMs()), shared: { catalog, wake } });
}

/** One round. @returns whether all uploads were looked at. */
async function looksAtAll(): Promise<boolean> {
  looks = 0;
  await job.round();
  return looks > 0;
}

/** Lets time pass in which all other nodes die: the worker lives. */
async function die(forMs = NODE_DEAD_AFTER_MS): Promise<void> {
  await time.advance(forMs);
  await catalog.joinNode(worker.parts.leases.node, aboutNode());
}

/** A lease that a node has when it dies. */
async function hold({ uploads }: House, id: string): Promise<void> {
  await uploads.open(id, 'anyone', { signal: new AbortController().signal });
}

async function phaseOf(id: string): Promise<string | null | undefined> {
  return (await catalog.findUpload(id))?.phase;
}

test('a node looks when it starts, when another has died, and every hour', async () => {
  expect(await looksAtAll()).toBe(true);
  expect(await looksAtAll()).toBe(false);
  const other = await openNode();
  const [id, done] = [await other.begin(bytes), await other.begin(bytes)];
  const writer = await other.uploads.open(done, 'anyone', { signal: new AbortController().signal });
  await writer.append(Readable.from([bytes]), { maxBytes: bytes.length });
  await writer.release();
  await hold(other, id);
  expect(await looksAtAll()).toBe(false);
  await die();
  expect(await looksAtAll()).toBe(true);
  expect(await phaseOf(id)).toBeNull();
  expect(await looksAtAll()).toBe(false);
  await die(HOUR_MS - NODE_DEAD_AFTER_MS - 1);
  expect(await looksAtAll()).toBe(false);
  await die(NODE_DEAD_AFTER_MS + 1);
  expect(await looksAtAll()).toBe(true);
});

test('what a node left when it was killed, and another removed it at once, is found', async () => {
  const killed = await openNode();
  await job.round();
  const id = await killed.begin(bytes);
  await hold(killed, id);
  await catalog.leaveNode(killed.parts.leases.node);
  expect(await looksAtAll()).toBe(true);
  expect(await phaseOf(id)).toBeNull();
  expect(await looksAtAll()).toBe(false);
});

test('an upload that cannot be recovered is tried again until it can', async () => {
  const other = await openNode();
  const id = await other.begin(bytes);
  await job.round();
  await hold(other, id);
  await die();
  const failing = faults.order({ call: 'recoverUpload', error: 'unavailable' });
  await job.round();
  expect(failing.hasFired).toBe(true);
  expect(await phaseOf(id)).toBe('unrecovered');
  expect(await looksAtAll()).toBe(true);
  expect(await phaseOf(id)).toBeNull();
  expect(await looksAtAll()).toBe(false);
});

test('an upload is recovered later whose lease a request waited for, and left before it got it', async () => {
  const other = await openNode();
  const id = await other.begin(bytes);
  await job.round();
  await hold(other, id);
  const leaving = new AbortController();
  const waiting = worker.uploads.open(id, 'anyone', { signal: leaving.signal });
  await expect.poll(() => worker.parts.leases.isWanted(id)).toBe(true);
  // It looks again after a second of the virtual clock: from here to its end no time passes.
  await catalog.leaveNode(other.parts.leases.node);
  await job.round();
  expect(await phaseOf(id)).toBe('receiving');
  leaving.abort();
  await expect(waiting).rejects.toMatchObject({ code: expect.any(String) });
  expect(await looksAtAll()).toBe(true);
  expect(await phaseOf(id)).toBeNull();
  expect(await looksAtAll()).toBe(false);
});

test('bytes that a failure left uncommitted are published without a request', async () => {
  const other = await openNode();
  const id = await other.begin(bytes);
  await job.round();
  const writer = await other.uploads.open(id, 'anyone', { signal: new AbortController().signal });
  faults.order({ call: 'finalize', error: 'unavailable' });
  await writer.append(Readable.from([bytes]), { maxBytes: bytes.length }).catch(() => undefined);
  await writer.release();
  await die();
  await job.round();
  const [content] = await catalog.findContents({ md5: md5(bytes) });
  const stored = await worker.parts.store.readContent(content?.key ?? '');
  expect(await buffer(stored)).toEqual(bytes);
});
