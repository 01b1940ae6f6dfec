/**
 * Crash points over a store in memory and a folder: each call of store, disk and catalog can fail, can be the last before
 * the process dies, or the last before the power goes.
 *
 * The power goes in memory alone. It undoes what the disk had not synced, and what the catalog has changed since its
 * last `durable()` that was answered.
 */
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Catalog, CatalogError } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults, type Fault } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { withFaults } from '../../stores/memory/with-faults.ts';
import { StoreError } from '../../stores/store.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { openSimCatalog } from '../sim/catalog.ts';
import { JOIN_CRASHES, joinTale } from './crash-join.ts';
import { atOnceTale } from './crash-at-once.ts';
import { type Crash, CRASHES, crashEverywhere, type Ground, type Point } from './crash-points.ts';
import { crashesOf, uploadTale } from './crash-upload.ts';

const bytes = makeBytes(5_000, 58);
const HALF = bytes.length / 2;
const TIMEOUT_MS = 60_000;
/** A call that only looks at the catalog: it fails with the others, and is not counted. */
const LOOKS = /^(?:find|list|filter|get|owns|total|extent|is|id$|ping|close|joinNode|leaveNode)/;
const FOREVER = new Promise<never>(() => undefined);

const digests = createDigestPool(['md5']);
afterAll(() => digests.close());

/** The nth call, of store, disk and catalog together. */
async function createPoint(nth: number, { at, follows }: Crash): Promise<Point> {
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
    }: { action: () => Promise<T>; partly?: ((bytes: number) => void) | undefined; error: () => Error },
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
    if (!dies) throw error();
    isDead = true;
    tellDied('died');
    return FOREVER;
  }

  function over(catalog: Catalog): Catalog {
    return new Proxy(catalog, {
      get(target, name: keyof Catalog) {
        if (name === 'isShared' || name === 'clock') return target[name];
        const method = target[name] as (...args: unknown[]) => Promise<unknown>;
        // After a failed sync the service ends, so it cannot be a call after which the service works. And a sync changes nothing
        // where only the process dies.
        const isCounted = !LOOKS.test(name) && (follows === 'lose power' || name !== 'durable');
        return (...args: unknown[]) => {
          const action = (): Promise<unknown> => method.apply(target, args);
          const error = (): Error => new CatalogError('unavailable', `${name}: ordered to fail`);
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
        run(call, about, {
          action,
          partly,
          error: () => new StoreError('unavailable', `${call} ${about}: ordered to fail`),
        }),
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

/** @param keys - how the store names contents. */
async function inMemory({ follows }: Crash, keys: 'upload' | 'digest' = 'upload'): Promise<Ground> {
  const disk = createMemoryDisk();
  const sim = openSimCatalog(SYSTEM);
  // What is durable is copied for the power cut alone.
  const durable = async (): Promise<void> => (follows === 'lose power' ? sim.markDurable() : undefined);
  const catalog: Catalog = { ...sim.alone, durable };
  return {
    catalog,
    renew: () => void openSimCatalog(SYSTEM),
    digests,
    createPoint,
    // Several commits in each request.
    openStore: async (point, aheadMs = 0) =>
      openMemoryStore({
        disk,
        faults: point?.faults ?? createFaults(),
        now: () => Date.now() + aheadMs,
        commitEveryBytes: 1000,
        keys,
      }),
    cutPower: () => {
      disk.crash();
      sim.forgetUndurable();
    },
  };
}

/** A real file, and files of a real folder. */
async function inFolder(): Promise<Ground> {
  const folder = await makeTempFolder();
  const catalog = await openNewCatalog({ file: `${await makeTempFolder()}/catalog.db` });
  onTestFinished(() => catalog.close());
  const durable = (): Promise<void> => catalog.durable();
  return {
    catalog,
    digests,
    createPoint,
    openStore: async (point, aheadMs = 0) =>
      withFaults(
        await openLocalStore({ folder, durable, now: () => Date.now() + aheadMs }),
        point?.faults ?? createFaults(),
      ),
  };
}

describe.each([
  { place: 'in memory', open: inMemory, hasPower: true },
  // Its power is cut in `test/power`.
  { place: 'in a folder', open: inFolder, hasPower: false },
])('$place, wherever', ({ open, hasPower }) => {
  describe.each([
    { story: 'two requests', first: { until: HALF, cutAt: undefined } },
    { story: 'a request that is cut, and another', first: { cutAt: HALF } },
    {
      story: 'two requests, and one that completes',
      first: { until: HALF, cutAt: undefined },
      completesByRequest: true,
    },
    { story: 'two requests with checksums', first: { until: HALF, checksum: 'right' as const, cutAt: undefined } },
    {
      story: 'a request whose checksum is wrong, and another',
      first: { checksum: 'wrong' as const, cutAt: undefined },
    },
  ])('in $story', ({ first, completesByRequest = false }) => {
    test.each(
      crashesOf({ first }).filter(({ follows }) => follows !== 'lose power' || (hasPower && first.cutAt === undefined)),
    )('a call $name', { timeout: TIMEOUT_MS }, async (crash) => {
      const calls = await crashEverywhere(crash, await open(crash), () =>
        uploadTale({ bytes, chunkBytes: 1300, first, completesByRequest }),
      );
      // The whole way was gone, to its last steps.
      expect(calls.join('\n')).toMatch(/^catalog\.createUpload[^]*^writeUpload[^]*^finalize[^]*^catalog\.removalDone/m);
    });
  });

  describe('in uploads whose bytes come at once', () => {
    test.each(CRASHES.filter(({ follows }) => follows !== 'lose power' || hasPower))(
      'a call $name',
      { timeout: TIMEOUT_MS },
      async (crash) => {
        const calls = await crashEverywhere(crash, await open(crash, 'digest'), atOnceTale);
        expect(calls.join('\n')).toMatch(
          /^storeAtOnce[^]*^catalog\.publishAtOnce[^]*^storeAtOnce[^]*^catalog\.publish [^]*^catalog\.removalDone/m,
        );
      },
    );
  });

  describe('in two partials, and two finals that join them', () => {
    test.each(JOIN_CRASHES.filter(({ follows }) => follows !== 'lose power' || hasPower))(
      'a call $name',
      { timeout: TIMEOUT_MS },
      async (crash) => {
        const calls = await crashEverywhere(crash, await open(crash), () => joinTale([1_700, 1_300]));
        expect(calls.join('\n')).toMatch(
          /^(?:catalog\.createUpload[^]*){4}^joinUploads[^]*^finalize[^]*^discardUpload/m,
        );
      },
    );
  });
});
