/** The trash by requests: each ends after some time, however much there is, and no bytes go before their rows; over both catalogs. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { trashJob } from '../../server/jobs/trash.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { addPublished, newContent } from '../catalog/fixtures.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { type House, openHouse } from './support.ts';

const NEVER = new AbortController().signal;
/** A request works for five seconds, and ends with the call of the catalog that goes beyond. */
const TOO_LONG_MS = 5_100;
/** More than one call takes. */
const FILES = 66;

interface Ground {
  house: House;
  /** How long a call of the catalog takes that deletes or restores. */
  callMs: number;
  /** Lets time pass. */
  pass(ms: number): void;
}

async function openOnPostgres() {
  const database = await createDatabase();
  const catalog = await openPostgresCatalog({ url: database.url });
  onTestFinished(async () => {
    await catalog.close();
    await database.drop();
  });
  return { shared: { catalog, wake: createProcessWake() } };
}

describe.each([
  { name: 'SQLite', isHere: true, options: async () => ({}) },
  { name: 'PostgreSQL', isHere: hasPostgres(), options: openOnPostgres },
])('very many files on $name', ({ isHere, options }) => {
  describe.skipIf(!isHere)('here', () => {
    /** With files in a folder. */
    async function openWithFiles(): Promise<Ground> {
      let nowMs = 0;
      const surroundings = { ...SYSTEM, elapsedMs: () => nowMs };
      const house = await openHouse(
        {},
        { trashTtlMs: 3_600_000 },
        { surroundings, time: SYSTEM, ...(await options()) },
      );
      const { catalog } = house.parts;
      const ground: Ground = { house, callMs: 0, pass: (ms) => (nowMs += ms) };
      for (let index = 0; index < FILES; index++)
        await addPublished(catalog, newContent(`c${index}`, { size: 1 }), { name: `f/${index}` });
      for (const name of ['deleteBelow', 'restoreTrashed', 'deleteTrashed'] as const) {
        const method = catalog[name].bind(catalog) as (...args: unknown[]) => Promise<never>;
        catalog[name] = async (...args: unknown[]) => {
          nowMs += ground.callMs;
          return method(...args);
        };
      }
      return ground;
    }

    /** Deletes the folder by two requests, as the time of the first one is over. */
    async function deleteFolder(ground: Ground): Promise<string> {
      const { folders } = ground.house;
      ground.callMs = TOO_LONG_MS;
      const counts: number[] = [];
      let deletion = '';
      for (let cursor: string | null | undefined; cursor !== null;) {
        const request = { path: 'f', owner: 'ann', signal: NEVER };
        const done = await folders.remove(cursor === undefined ? request : { ...request, cursor });
        counts.push(done.files);
        deletion = done.deletion ?? '';
        cursor = done.nextCursor;
        ground.callMs = 0;
      }
      expect(counts).toEqual([64, 2]);
      return deletion;
    }

    test('come into the trash, and back, by several requests, as one deletion', async () => {
      const ground = await openWithFiles();
      const { house } = ground;
      const deletion = await deleteFolder(ground);
      expect(await house.trash.totalOf('ann')).toEqual({ files: FILES, bytes: FILES });
      ground.callMs = TOO_LONG_MS;
      const first = await house.trash.restore('ann', { deletion }, NEVER);
      expect(first).toEqual({ files: 64, bytes: 64, isComplete: false });
      ground.callMs = 0;
      expect(await house.trash.restore('ann', { deletion }, NEVER)).toEqual({ files: 2, bytes: 2, isComplete: true });
      await expect(house.trash.restore('ann', { deletion }, NEVER)).rejects.toMatchObject({ code: 'not_found' });
      expect(await house.parts.catalog.totalOf('ann')).toEqual({ files: FILES, bytes: FILES });
    });

    test('go for good by several requests; what comes into the trash after the first of them stays', async () => {
      const ground = await openWithFiles();
      const { house } = ground;
      const { catalog } = house.parts;
      await deleteFolder(ground);
      ground.callMs = TOO_LONG_MS;
      const first = await house.trash.remove('ann', { all: true }, NEVER);
      expect(first).toEqual({ files: 64, bytes: 64, isComplete: false, until: expect.any(Number) });
      ground.callMs = 0;
      const later = await addPublished(catalog, newContent('later'), { name: 'later' });
      // By the clock of the catalog, which may have come no further.
      await expect.poll(() => catalog.clock.earliest()).toBeGreaterThan(first.until ?? 0);
      await catalog.deleteFile(later.id, 'ann', 'trash');
      const rest = { all: true, ...(first.until === undefined ? {} : { until: first.until }) } as const;
      expect(await house.trash.remove('ann', rest, NEVER)).toMatchObject({ files: 2, isComplete: true });
      const { files } = await house.trash.list({ owner: 'ann', limit: 10 });
      expect(files.map(({ name }) => name)).toEqual(['later']);
    });

    test('go for good where the store is slow: what no time is left for, a job removes', async () => {
      const ground = await openWithFiles();
      const { house, pass } = ground;
      await deleteFolder(ground);
      const { store } = house.parts;
      const removed: string[] = [];
      store.removeContent = async (key) => {
        pass(1_000);
        removed.push(key);
      };
      expect(await house.trash.remove('ann', { all: true }, NEVER)).toMatchObject({ files: 64, isComplete: false });
      expect(removed.length).toBeGreaterThan(0);
      // As many as are removed at once may have begun by then.
      expect(removed.length).toBeLessThan(20);
      const ids = (await house.trash.list({ owner: 'ann', limit: 100 })).files.map(({ id }) => id);
      removed.length = 0;
      ground.callMs = TOO_LONG_MS;
      expect(await house.trash.remove('ann', { ids }, NEVER)).toMatchObject({ files: 2, isComplete: true });
      expect(removed).toEqual([]);
      expect(await house.parts.catalog.listRemovals(0, 1000)).not.toEqual([]);
    });
  });
});

test('no bytes go before the deletion of their rows is durable: by request, by the job, with a folder, and of a file', async () => {
  const [house, without] = [await openHouse({}, { trashTtlMs: 3_600_000 }), await openHouse({})];
  const wasDurable: boolean[] = [];
  for (const { catalog, store } of [house.parts, without.parts]) {
    let isDurable = false;
    for (const name of ['deleteTrashed', 'purgeTrash', 'deleteBelow', 'deleteFile'] as const) {
      const method = catalog[name].bind(catalog) as (...args: unknown[]) => Promise<never>;
      catalog[name] = async (...args: unknown[]) => {
        isDurable = false;
        return method(...args);
      };
    }
    const durable = catalog.durable.bind(catalog);
    catalog.durable = async () => {
      await durable();
      isDurable = true;
    };
    store.removeContent = async () => void wasDurable.push(isDurable);
  }
  const add = async ({ parts: { catalog } }: House, name: string): Promise<string> =>
    (await addPublished(catalog, newContent(name), { name })).id;
  const trash = async (name: string): Promise<string> => {
    const id = await add(house, name);
    await house.parts.catalog.deleteFile(id, 'ann', 'trash');
    return id;
  };
  await house.trash.remove('ann', { ids: [await trash('by request')] }, NEVER);
  expect(wasDurable).toEqual([true]);
  await trash('by the job');
  // What came into the trash within this millisecond, too.
  const limits = { ...house.parts.limits, trashTtlMs: -1 };
  await trashJob({ ...house, ...house.parts, limits }).round();
  expect(wasDurable).toEqual([true, true]);
  await add(without, 'f/with a folder');
  await without.folders.remove({ path: 'f', owner: 'ann', signal: NEVER });
  await createFileActions(without.parts).remove(await add(without, 'a file'), 'ann');
  expect(wasDurable).toEqual([true, true, true, true]);
});
