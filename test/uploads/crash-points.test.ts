/**
 * Every point at which a call can fail, the process can die, or the power can go: the first call of the story, the
 * second, and so on until there is none left. Whatever was told before holds afterwards, the upload can be finished,
 * and once its file is deleted nothing is left.
 *
 * The power goes in memory alone. It undoes what the disk had not synced, and what the catalog has changed since its
 * last `durable()` that was answered.
 */
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Catalog, CatalogError } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { createJobs } from '../../server/jobs/jobs.ts';
import { removeLeftContents } from '../../server/jobs/removals.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults, type Fault, type Faults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { withFaults } from '../../stores/memory/with-faults.ts';
import { type Store, StoreError, UNKNOWN_MS } from '../../stores/store.ts';
import { makeBytes } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { openSimCatalog } from '../sim/catalog.ts';
import { type House, openHouse } from './support.ts';

const OWNER = 'anyone';
const bytes = makeBytes(5_000, 58);
const HALF = bytes.length / 2;
const NEVER = new AbortController().signal;
const TIMEOUT_MS = 60_000;
/** More calls than any story makes. */
const MOST_CALLS = 500;

/** What happens at the call, and what follows. */
interface Crash {
  name: string;
  /** `after`: the call has taken effect, and its answer is lost. */
  at: 'before' | 'after';
  follows: 'fail' | 'die' | 'lose power';
}

const CRASHES: Crash[] = [
  { name: 'fails', at: 'before', follows: 'fail' },
  { name: 'loses its answer', at: 'after', follows: 'fail' },
  { name: 'is the last before the process dies', at: 'after', follows: 'die' },
  { name: 'is never made, as the process dies', at: 'before', follows: 'die' },
  { name: 'is the last before the power goes', at: 'after', follows: 'lose power' },
  { name: 'is never made, as the power goes', at: 'before', follows: 'lose power' },
];

/** A call that only looks at the catalog: it fails with the others, and is not counted. */
const LOOKS = /^(?:find|list|filter|get|owns|total|extent|is|id$|ping|close|joinNode|leaveNode)/;
const FOREVER = new Promise<never>(() => undefined);

interface Point {
  faults: Faults;
  /** The call that it was, once it has come. */
  readonly fired: string | undefined;
  /** Resolves when the process has died. */
  readonly died: Promise<'died'>;
  /** No call is counted from now on. */
  end(): void;
  /** Of the catalog: calls that change something, and waits until it is durable. */
  over(catalog: Catalog): Catalog;
}

/** The nth call, of store, disk and catalog together. */
function createPoint(nth: number, { at, follows }: Crash): Point {
  let calls = 0;
  let fired: string | undefined;
  let isDead = false;
  let isOver = false;
  let tellDied: (told: 'died') => void = () => undefined;
  const died = new Promise<'died'>((resolve) => (tellDied = resolve));
  const dies = follows !== 'fail';

  async function run<T>(
    call: string,
    about: string,
    {
      action,
      partly,
      error,
    }: { action: () => Promise<T>; partly?: ((bytes: number) => void) | undefined; error: Error },
  ): Promise<T> {
    if (isDead) return FOREVER;
    if (isOver || ++calls !== nth) {
      const answer = await action();
      // It may have died meanwhile.
      return isDead ? FOREVER : answer;
    }
    fired = `${call} ${about}`;
    if (at === 'after') await action();
    else partly?.(100);
    if (!dies) throw error;
    isDead = true;
    tellDied('died');
    return FOREVER;
  }

  function over(catalog: Catalog): Catalog {
    return new Proxy(catalog, {
      get(target, name: keyof Catalog) {
        if (name === 'isShared') return target[name];
        const method = target[name] as (...args: unknown[]) => Promise<unknown>;
        // After a failed sync the service ends: it is no call that fails and goes on.
        const isCounted = !LOOKS.test(name) && (dies || name !== 'durable');
        return (...args: unknown[]) => {
          const action = (): Promise<unknown> => method.apply(target, args);
          const error = new CatalogError('unavailable', `${name}: ordered to fail`);
          if (isCounted) return run(`catalog.${name}`, '', { action, error });
          return isDead ? FOREVER : action().then((answer) => (isDead ? FOREVER : answer));
        };
      },
    });
  }

  return {
    faults: {
      order: createFaults().order,
      run: (call: Fault['call'], about, action, partly) =>
        run(call, about, { action, partly, error: new StoreError('unavailable', `${call} ${about}: ordered to fail`) }),
    },
    get fired() {
      return fired;
    },
    died,
    end: () => {
      isOver = true;
    },
    over,
  };
}

/** What outlives the service. */
interface Ground {
  catalog: Catalog;
  digests: DigestPool;
  /** @param aheadMs - of the clock by which bytes are old. */
  openStore(faults: Faults, aheadMs?: number): Promise<Store>;
  /** The power goes and returns; where that can be done in this process. */
  cutPower?: () => void;
}

async function inMemory(): Promise<Ground> {
  const disk = createMemoryDisk();
  const sim = openSimCatalog(() => performance.now());
  const catalog: Catalog = { ...sim.alone, durable: async () => sim.markDurable() };
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  return {
    catalog,
    digests,
    // Several commits in each request.
    openStore: async (faults, aheadMs = 0) =>
      openMemoryStore({ disk, faults, now: () => Date.now() + aheadMs, commitEveryBytes: 1000 }),
    cutPower: () => {
      disk.crash();
      sim.forgetUndurable();
    },
  };
}

/** A real file, and files of a real folder. */
async function inFolder(): Promise<Ground> {
  const folder = await makeTempFolder();
  const catalog = await openSqliteCatalog({ file: `${await makeTempFolder()}/catalog.db` });
  const digests = createDigestPool(['md5']);
  onTestFinished(async () => {
    await digests.close();
    await catalog.close();
  });
  const durable = (): Promise<void> => catalog.durable();
  return {
    catalog,
    digests,
    openStore: async (faults, aheadMs = 0) =>
      withFaults(await openLocalStore({ folder, durable, now: () => Date.now() + aheadMs }), faults),
  };
}

/** What the client has heard, and has asked for. */
interface Told {
  id: string | undefined;
  offset: number;
  fileId: string | undefined;
  isDeleting: boolean;
  isDeleted: boolean;
}

interface Sent {
  /** The line breaks before this byte; it arrives up to there. */
  cutAt?: number | undefined;
  /** The request ends before this byte. */
  until?: number;
}

/** One request from where the upload stands. */
async function send({ uploads }: House, told: Told, { cutAt, until = bytes.length }: Sent = {}): Promise<void> {
  const id = told.id ?? '';
  const { offset } = await uploads.view(id, OWNER);
  expect(offset).toBeGreaterThanOrEqual(told.offset);
  told.offset = offset;
  async function* body(): AsyncIterable<Buffer> {
    for (let at = offset; at < (cutAt ?? until); at += 1300) {
      yield bytes.subarray(at, Math.min(at + 1300, cutAt ?? until));
      await turn();
    }
    if (cutAt !== undefined) throw new Error('the line is cut');
  }
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    const received = await writer.append(Readable.from(body()), { maxBytes: bytes.length - offset });
    told.offset = received.offset;
    told.fileId = received.file?.id;
  } finally {
    await writer.release();
  }
}

/** Create, append in two requests, the first of which may be cut, publish, delete. */
async function tellStory(house: House, told: Told, first: Sent): Promise<void> {
  const id = await house.begin(bytes);
  await house.parts.catalog.durable();
  told.id = id;
  await send(house, told, first);
  await send(house, told);
  await remove(house, told);
}

async function remove({ parts }: House, told: Told): Promise<void> {
  told.isDeleting = true;
  await createFileActions(parts).remove(told.fileId ?? '', OWNER);
  told.isDeleted = true;
}

/** What was told holds; the upload is finished, and its file deleted: then nothing is left. */
async function finish(house: House, told: Told): Promise<void> {
  const { catalog } = house.parts;
  if (!told.isDeleting) {
    if (told.fileId === undefined) {
      told.id ??= await house.begin(bytes);
      const { offset, state } = await house.uploads.view(told.id, OWNER);
      expect(offset).toBeGreaterThanOrEqual(told.offset);
      if (state === 'receiving') await send(house, told);
      told.fileId ??= (await catalog.findUpload(told.id))?.fileId ?? undefined;
    }
    expect(await bytesOf(house, told.fileId)).toEqual(bytes);
  }
  const found = await bytesOf(house, told.fileId);
  if (told.isDeleted) expect(found).toBeUndefined();
  if (found) {
    expect(found).toEqual(bytes);
    await remove(house, told);
  }
  expect(await bytesOf(house, told.fileId)).toBeUndefined();
}

async function bytesOf({ parts }: House, fileId: string | undefined): Promise<Buffer | undefined> {
  const file = await parts.catalog.findFile(fileId ?? '', OWNER);
  return file && (await buffer(await parts.store.readContent(file.content.key, undefined, undefined, bytes.length)));
}

/** One round of each job, and what comes before them at a start. */
async function sweepOnce({ parts, writers, recovery }: House, { isStart }: { isStart: boolean }): Promise<void> {
  const jobParts = { ...parts, writers, recovery };
  if (isStart) await removeLeftContents(jobParts);
  for (const job of createJobs(jobParts)) await job.round();
}

async function everything(items: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** @returns the call at which it crashed; undefined when the story has fewer. */
async function crashAt(nth: number, crash: Crash, ground: Ground, first: Sent): Promise<string | undefined> {
  const point = createPoint(nth, crash);
  const { digests } = ground;
  const catalog = point.over(ground.catalog);
  const crashing = await openHouse(
    {},
    {},
    { store: await ground.openStore(point.faults), shared: { catalog, digests, wake: createProcessWake() } },
  );
  const told: Told = { id: undefined, offset: 0, fileId: undefined, isDeleting: false, isDeleted: false };
  const story = tellStory(crashing, told, first).catch((error: unknown) => {
    // The fault may fail the story, and may not make it see what is wrong.
    if (point.fired === undefined || isFailedExpectation(error)) throw error;
  });
  await Promise.race([story, point.died]);
  point.end();
  if (point.fired === undefined) return undefined;
  if (crash.follows === 'lose power') {
    // What was under way in the catalog has ended.
    await turn();
    ground.cutPower?.();
  }
  // As a start finds it: no other process has the catalog open.
  if (crash.follows !== 'fail') await ground.catalog.leaveNode(crashing.parts.leases.node);
  const after = crash.follows === 'fail' ? crashing : await reopen(ground);
  // Made final before the cut took their row: a service that finds such bytes tells of them, and leaves them alone.
  const strays = crash.follows === 'lose power' && !told.isDeleting ? await straysOf(after) : [];
  if (after !== crashing) await sweepOnce(after, { isStart: true });
  await finish(after, told);
  await sweepOnce(after, { isStart: false });
  for (const key of strays) await after.parts.store.removeContent(key);
  expect(await everything(after.parts.store.listContents())).toEqual([]);
  expect(await after.parts.catalog.listRemovals(0, 10)).toEqual([]);
  // A removal that failed, or that the power cut undid, of an upload that nobody knows any more: it goes when it is old.
  const last = crash.follows === 'die' ? after : await reopen(ground, UNKNOWN_MS + 1000);
  await sweepOnce(last, { isStart: true });
  expect(await everything(last.parts.store.listUnfinished())).toEqual([]);
  return point.fired;
}

async function straysOf({ parts }: House): Promise<string[]> {
  const keys = await everything(parts.store.listContents());
  const known = await parts.catalog.filterKeys(keys);
  return keys.filter((key) => !known.has(key));
}

function isFailedExpectation(error: unknown): boolean {
  return error instanceof Error && error.name === 'AssertionError';
}

/** The service after a restart: nothing fails any more. */
async function reopen(ground: Ground, aheadMs?: number): Promise<House> {
  return openHouse(
    {},
    {},
    { store: await ground.openStore(createFaults(), aheadMs), shared: { ...ground, wake: createProcessWake() } },
  );
}

describe.each([
  { place: 'in memory', open: inMemory, hasPower: true },
  // Its power is cut in `test/power`.
  { place: 'in a folder', open: inFolder, hasPower: false },
])('$place, wherever', ({ open, hasPower }) => {
  describe.each([
    { story: 'two requests', first: { until: HALF, cutAt: undefined } },
    { story: 'a request that is cut, and another', first: { cutAt: HALF } },
  ])('in $story', ({ first }) => {
    test.each(CRASHES.filter(({ follows }) => follows !== 'lose power' || (hasPower && first.cutAt === undefined)))(
      'a call $name',
      { timeout: TIMEOUT_MS },
      async (crash) => {
        const ground = await open();
        const calls: string[] = [];
        for (let nth = 1; nth < MOST_CALLS; nth++) {
          const fired = await crashAt(nth, crash, ground, first).catch((error: unknown) => {
            throw new Error(`call ${nth}, after ${calls.slice(-3).join(', ')}: ${String(error)}`, { cause: error });
          });
          if (fired === undefined) break;
          calls.push(fired);
        }
        // The whole way was gone, to its last steps.
        expect(calls.join('\n')).toMatch(
          /^catalog\.createUpload[^]*^writeUpload[^]*^finalize[^]*^catalog\.removalDone/m,
        );
        expect(calls.length).toBeLessThan(MOST_CALLS - 1);
      },
    );
  });
});
