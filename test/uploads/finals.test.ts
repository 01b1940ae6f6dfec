/** Finals on two nodes over one catalog and one store: whoever notices joins, and a node that lost the right records nothing. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { type Catalog, NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createJobs } from '../../server/jobs/jobs.ts';
import { createProcessWake, type Wake } from '../../server/leases/wake.ts';
import { createMemoryDisk, type MemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults, type Faults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { timeBy } from '../catalog/fixtures.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type House, openHouse } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;
const TTL_MS = 60_000;
const bytes = makeBytes(300_000, 81);
const NOTHING = { md5: null, sha1: null, sha256: null, filename: null, filetype: null, metadata: '' };

let catalog: Catalog;
let wake: Wake;
let disk: MemoryDisk;
let faults: Faults;
let nowMs = 0;
let ids = 0;
let a: House;
let b: House;

beforeEach(async () => {
  nowMs = 0;
  const file = `${await makeTempFolder()}/catalog.db`;
  catalog = await openNewCatalog({ file, isShared: true, time: timeBy(() => nowMs) });
  onTestFinished(() => catalog.close());
  wake = createProcessWake();
  disk = createMemoryDisk();
  faults = createFaults();
  a = await openNode(faults);
  b = await openNode();
});

function openNode(own = createFaults()): Promise<House> {
  const store = openMemoryStore({ disk, faults: own, commitEveryBytes: 100_000 });
  return openHouse({}, { lockTimeoutMs: 10_000, uploadTtlMs: TTL_MS }, { store, shared: { catalog, wake } });
}

async function addPartial({ uploads }: House, size: number): Promise<string> {
  const id = `partial-${++ids}`;
  await uploads.begin({ id, owner: OWNER, kind: 'partial', declaration: { ...NOTHING, size } });
  return id;
}

async function addFinal({ uploads }: House, ...partials: string[]): Promise<string> {
  const id = `final-${++ids}`;
  await uploads.beginFinal({ id, owner: OWNER, partials, declaration: { ...NOTHING, size: null, md5: md5(bytes) } });
  return id;
}

async function send({ uploads }: House, id: string, piece: Buffer): Promise<void> {
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    await writer.append(Readable.from([piece]), { maxBytes: piece.length });
  } finally {
    await writer.release();
  }
}

async function end({ uploads }: House, id: string): Promise<void> {
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    await writer.remove();
  } finally {
    await writer.release();
  }
}

async function runJobs(house: House): Promise<void> {
  for (const job of createJobs({ ...house.parts, ...house })) await job.round();
}

async function expectJoined(house: House, id: string): Promise<void> {
  await expect.poll(async () => (await catalog.findUpload(id))?.state).toBe('complete');
  const [content] = await catalog.findContents({ md5: md5(bytes) });
  const found = await buffer(await house.parts.store.readContent(content?.key ?? '', undefined, NEVER));
  expect(found.equals(bytes)).toBe(true);
}

const stateOf = async (id: string) => (await catalog.findUpload(id))?.state;

test('a final of one node is joined by the node at which its last byte arrives', async () => {
  const [first, second] = [await addPartial(a, 200_000), await addPartial(a, 100_000)];
  const final = await addFinal(a, first, second);
  await send(a, first, bytes.subarray(0, 200_000));
  await send(b, second, bytes.subarray(200_000));
  await expectJoined(a, final);
  await expect.poll(() => catalog.listFinalsToRelease(1)).toEqual([]);
});

test('a last byte that arrives while the final is looked at is not overlooked', async () => {
  const partials = [await addPartial(a, 100_000), await addPartial(a, 200_000)];
  const final = await addFinal(a, ...partials);
  await send(a, partials[0] ?? '', bytes.subarray(0, 100_000));
  const { listPartials } = catalog;
  onTestFinished(() => void Object.assign(catalog, { listPartials }));
  Object.assign(catalog, {
    listPartials: async (id: string) => {
      Object.assign(catalog, { listPartials });
      const outdated = await listPartials(id);
      await send(a, partials[1] ?? '', bytes.subarray(100_000));
      return outdated;
    },
  });
  await a.finals.attend(final);
  await expectJoined(a, final);
});

test('a final whose node died while it joined is joined by another, from its last commit', async () => {
  const [first, second] = [await addPartial(a, 200_000), await addPartial(a, 100_000)];
  await send(a, first, bytes.subarray(0, 200_000));
  await send(a, second, bytes.subarray(200_000));
  // Not before the first commit, and before all bytes are stored.
  const order = faults.order({ call: 'write', about: 'final-', nth: 2, until: new Promise(() => undefined) });
  void addFinal(a, first, second).catch(() => undefined);
  await order.reached;
  const final = `final-${ids}`;
  expect((await catalog.findUpload(final))?.offset).toBeGreaterThan(0);
  nowMs += NODE_DEAD_AFTER_MS + 1;
  await runJobs(await openNode());
  await expectJoined(b, final);
});

test('a sum that cannot be counted exactly is too large, also without a limit, and where it is known late', async () => {
  const most = Number.MAX_SAFE_INTEGER;
  const whole = await addPartial(a, most);
  await expect(addFinal(a, whole, await addPartial(a, 1))).rejects.toMatchObject({ code: 'too_large' });
  const declaration = { ...NOTHING, size: most + 1 };
  await expect(a.uploads.begin({ id: 'more', owner: OWNER, declaration })).rejects.toMatchObject({ code: 'too_large' });
  await addFinal(a, whole);
});

test('a partial that is ended while it is joined ends the final, and nothing is published', async () => {
  const [first, second] = [await addPartial(a, 200_000), await addPartial(a, 100_000)];
  await send(a, first, bytes.subarray(0, 200_000));
  await send(a, second, bytes.subarray(200_000));
  let goOn: () => void = () => undefined;
  const until = new Promise<void>((resolve) => (goOn = resolve));
  const order = faults.order({ call: 'sync', about: 'final-', nth: 2, until });
  const beginning = addFinal(a, first, second).catch((error: unknown) => error);
  await order.reached;
  const final = `final-${ids}`;
  await end(b, second);
  await expect.poll(() => stateOf(final)).toBe('terminated');
  goOn();
  expect(await beginning).toMatchObject({ code: 'upload_terminated' });
  expect(await catalog.findContents({ md5: md5(bytes) })).toEqual([]);
  expect(await stateOf(first)).toBe('receiving');
  await expect.poll(() => disk.names().filter((name) => name.includes(final))).toEqual([]);
});

test('partials of a waiting final live as long as bytes come for any of them, and expire with it', async () => {
  const [first, second] = [await addPartial(a, 200_000), await addPartial(a, 100_000)];
  const final = await addFinal(a, first, second);
  await send(a, first, bytes.subarray(0, 200_000));
  nowMs += TTL_MS - 1000;
  await send(a, second, bytes.subarray(200_000, 200_010));
  nowMs += 2000;
  await runJobs(b);
  for (const id of [first, second, final]) expect(await stateOf(id)).toBe('receiving');
  expect(await b.uploads.view(first, OWNER)).toMatchObject({ offset: 200_000 });
  nowMs += TTL_MS;
  await runJobs(b);
  for (const id of [first, second, final]) await expect.poll(() => stateOf(id)).toBe('expired');
});
