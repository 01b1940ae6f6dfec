/** The trash by requests: nothing more is restored, or deleted for good, for an asker who is gone. */
import { expect, test } from 'vitest';
import type { Trash, TrashMeant } from '../../server/uploads/trash-contract.ts';
import { addPublished, newContent } from '../catalog/fixtures.ts';
import { type House, openHouse } from './support.ts';

/** More than two batches. */
const FILES = 130;

/** Files that were deleted with their folder, and an asker who leaves while the first batch of them is worked on. */
async function openDeleted(): Promise<{ house: House; meant: Record<string, TrashMeant>; gone: AbortController }> {
  const house = await openHouse({}, { trashTtlMs: 60_000 });
  const { catalog } = house.parts;
  const ids: string[] = [];
  for (let index = 0; index < FILES; index++)
    ids.push((await addPublished(catalog, newContent(`c${index}`, { size: 1 }), { name: `f/${index}` })).id);
  const never = new AbortController().signal;
  const { deletion = '' } = await house.folders.remove({ path: 'f', owner: 'ann', signal: never });
  const gone = new AbortController();
  const { restoreTrashed, deleteTrashed } = catalog;
  catalog.restoreTrashed = (...args) => {
    gone.abort();
    return restoreTrashed.apply(catalog, args);
  };
  catalog.deleteTrashed = (...args) => {
    gone.abort();
    return deleteTrashed.apply(catalog, args);
  };
  return { house, meant: { deletion: { deletion }, all: { all: true }, ids: { ids } }, gone };
}

test.each<[string, keyof Pick<Trash, 'restore' | 'remove'>, string]>([
  ['a restoration of a folder', 'restore', 'deletion'],
  ['a deletion of a folder for good', 'remove', 'deletion'],
  ['the trash, which is emptied', 'remove', 'all'],
])('of %s, the rest stays in the trash', async (_, what, which) => {
  const { house, meant, gone } = await openDeleted();
  await expect(house.trash[what]('ann', meant[which] ?? { ids: [] }, gone.signal)).rejects.toMatchObject({
    name: 'AbortError',
  });
  expect((await house.parts.catalog.trashTotalOf('ann')).files).toBe(FILES - 64);
});

test.each(['restore', 'remove'] as const)('files that are named are few: %s comes to its end', async (what) => {
  const { house, meant, gone } = await openDeleted();
  const done = await house.trash[what]('ann', meant['ids'] ?? { ids: [] }, gone.signal);
  expect(done).toMatchObject({ files: FILES, isComplete: true });
  expect((await house.parts.catalog.trashTotalOf('ann')).files).toBe(0);
});
