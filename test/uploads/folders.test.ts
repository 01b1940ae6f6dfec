/** The deletion of a folder by requests: each ends after some time, and nothing is deleted for an asker who is gone. */
import { expect, test } from 'vitest';
import { SYSTEM } from '../../stores/surroundings.ts';
import { addPublished, newContent } from '../catalog/fixtures.ts';
import { openHouse } from './support.ts';

const NEVER = new AbortController().signal;

async function openWith(files: number, elapsedMs: () => number = SYSTEM.elapsedMs) {
  const house = await openHouse({}, {}, { surroundings: { ...SYSTEM, elapsedMs } });
  for (let index = 0; index < files; index++)
    await addPublished(house.parts.catalog, newContent(`c${index}`, { size: 1 }), { name: `f/${index}` });
  return house;
}

const removalsOf = (house: Awaited<ReturnType<typeof openWith>>) => house.parts.catalog.listRemovals(0, 1000);

test('a request ends after some seconds, and the next one continues; a job removes the bytes for which no time was left', async () => {
  let nowMs = 0;
  const house = await openWith(130, () => nowMs);
  const { store } = house.parts;
  const { removeContent } = store;
  store.removeContent = async (...args) => {
    nowMs += 1_000;
    await removeContent.apply(store, args);
  };
  const request = { path: 'f', owner: 'ann', signal: NEVER };
  const first = await house.folders.remove(request);
  expect(first).toEqual({ files: 64, bytes: 64, nextCursor: expect.any(String) });
  const left = await removalsOf(house);
  expect(left.length).toBeGreaterThan(0);
  expect(left.length).toBeLessThan(64);
  const counts = [];
  for (let cursor = first.nextCursor; cursor !== null;) {
    const next = await house.folders.remove({ ...request, cursor });
    counts.push(next.files);
    cursor = next.nextCursor;
  }
  expect(counts).toEqual([64, 2]);
  await expect(house.folders.remove(request)).rejects.toMatchObject({ code: 'not_found', field: 'path' });
});

test('bytes are removed several at a time, and all of them', async () => {
  const house = await openWith(70);
  const { store } = house.parts;
  let [running, most] = [0, 0];
  const { removeContent } = store;
  store.removeContent = async (...args) => {
    most = Math.max(most, (running += 1));
    await new Promise(setImmediate);
    await removeContent.apply(store, args);
    running -= 1;
  };
  const deleted = await house.folders.remove({ path: 'f', owner: 'ann', signal: NEVER });
  expect(deleted).toEqual({ files: 70, bytes: 70, nextCursor: null });
  expect(await removalsOf(house)).toEqual([]);
  expect(most).toBeGreaterThan(4);
  expect(most).toBeLessThan(20);
});

test('nothing more is deleted for an asker who is gone', async () => {
  const house = await openWith(130);
  const gone = new AbortController();
  const { catalog } = house.parts;
  const { deleteBelow } = catalog;
  catalog.deleteBelow = async (...args) => {
    const some = await deleteBelow.apply(catalog, args);
    gone.abort();
    return some;
  };
  await expect(house.folders.remove({ path: 'f', owner: 'ann', signal: gone.signal })).rejects.toMatchObject({
    name: 'AbortError',
  });
  expect(await catalog.totalOf('ann')).toEqual({ files: 66, bytes: 66 });
  expect(await removalsOf(house)).toEqual([]);
});
