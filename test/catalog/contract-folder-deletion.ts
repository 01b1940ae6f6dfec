/** The deletion of a folder: what was there at the start goes, some at a time, and nothing that comes later. */
import { describe, expect, it } from 'vitest';
import type { Catalog, DeletedBelow, FileRecord } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { addPublished, giveFile, newContent } from './fixtures.ts';

let contents = 0;

/** Publishes a new byte under a name. */
function add(catalog: Catalog, name: string, owner = 'ann'): Promise<FileRecord> {
  return addPublished(catalog, newContent(`content to delete ${contents++}`, { size: 1 }), { name, owner });
}

/** Continues to the end; what each call has deleted. */
async function deleteAll(catalog: Catalog, path: string, cursor?: string): Promise<DeletedBelow[]> {
  const calls: DeletedBelow[] = [];
  for (let next: string | null | undefined = cursor; next !== null;) {
    const some: DeletedBelow | undefined = await catalog.deleteBelow('ann', path, next);
    if (!some) break;
    calls.push(some);
    next = some.nextCursor;
  }
  return calls;
}

async function namesOf(catalog: Catalog): Promise<string[]> {
  const { files } = await catalog.listFiles({ owner: 'ann', limit: 1000, sort: 'name', descending: false });
  return files.map(({ name }) => name).sort();
}

async function addMany(catalog: Catalog, folder: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await add(catalog, `${folder}/${index}`);
}

export function describeFolderDeletion(current: Current): void {
  describe('the deletion of a folder', () => {
    it('takes all that is below it, some at a time', async () => {
      const { catalog } = current();
      const kept = await add(catalog, 'kept/1');
      await giveFile(catalog, kept.content.id, { name: 'a/shared' });
      for (let index = 0; index < 70; index++) await add(catalog, `a/${index % 3}/${index}`);
      const calls = await deleteAll(catalog, 'a');
      expect(calls.map(({ files, bytes }) => [files, bytes])).toEqual([
        [64, 64],
        [7, 7],
      ]);
      expect(calls.flatMap(({ removed }) => removed)).toHaveLength(70);
      expect(await namesOf(catalog)).toEqual(['kept/1']);
      expect(await catalog.findFolder('ann', 'a')).toBeUndefined();
      expect(await catalog.deleteBelow('ann', 'a')).toBeUndefined();
      expect(await catalog.deleteBelow('bob', 'kept')).toBeUndefined();
      expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 1 });
      const events = (await catalog.listEvents({ owner: 'ann', after: 72, limit: 1000 })) ?? [];
      expect(events.filter(({ kind }) => kind === 'deleted')).toHaveLength(71);
    });

    it('goes through very many folders, and reads few in each call', async () => {
      const { catalog } = current();
      for (let index = 0; index < 150; index++) await add(catalog, `a/${index}/${index % 7}/file`);
      const calls = await deleteAll(catalog, 'a');
      expect(calls.reduce((sum, { files }) => sum + files, 0)).toBe(150);
      // Each call looks at a hundred folders, of which half have no files of their own: it deletes fewer than 64.
      expect(calls.length).toBeGreaterThan(3);
      expect(await namesOf(catalog)).toEqual([]);
    });

    it('leaves what comes later, in whatever folder', async () => {
      const { catalog, clock } = current();
      await addMany(catalog, 'a', 70);
      await add(catalog, 'a/z/old');
      const first = await catalog.deleteBelow('ann', 'a');
      expect(first?.files).toBe(64);
      clock.nowMs += 1;
      const later = ['a/a', 'a/later', 'a/z/later', 'a/zz/later'];
      for (const name of later) await add(catalog, name);
      const rest = await deleteAll(catalog, 'a', first?.nextCursor ?? '');
      expect(rest.reduce((sum, { files }) => sum + files, 0)).toBe(7);
      expect(await namesOf(catalog)).toEqual(later);
      expect(await deleteAll(catalog, 'a', first?.nextCursor ?? '')).toMatchObject([{ files: 0, nextCursor: null }]);
      // Another start takes them.
      await deleteAll(catalog, 'a');
      expect(await namesOf(catalog)).toEqual([]);
    });

    it('leaves another folder that has got the path, be it new or moved there', async () => {
      const { catalog, clock } = current();
      for (const isMoved of [false, true]) {
        await addMany(catalog, 'a', 70);
        const first = await catalog.deleteBelow('ann', 'a');
        clock.nowMs += 1;
        await catalog.moveFolder('ann', 'a', 'moved');
        if (isMoved) {
          await add(catalog, 'b/other');
          await catalog.moveFolder('ann', 'b', 'a');
        } else await add(catalog, 'a/other');
        const none = { files: 0, bytes: 0, removed: [], nextCursor: null };
        expect(await deleteAll(catalog, 'a', first?.nextCursor ?? '')).toEqual([none]);
        expect(await namesOf(catalog)).toHaveLength(7);
        for (const path of ['a', 'moved']) await deleteAll(catalog, path);
      }
    });

    it('ends where its last file went in another way, and takes no cursor of anything else', async () => {
      const { catalog } = current();
      await addMany(catalog, 'a', 65);
      const { nextCursor } = (await catalog.deleteBelow('ann', 'a')) ?? {};
      const { files } = await catalog.listFiles({ owner: 'ann', limit: 1, sort: 'name', descending: false });
      await catalog.deleteFile(files[0]?.id ?? '', 'ann');
      expect(await catalog.deleteBelow('ann', 'a', nextCursor ?? '')).toEqual({
        files: 0,
        bytes: 0,
        removed: [],
        nextCursor: null,
      });
      await addMany(catalog, 'a', 2);
      await add(catalog, 'b/of-bob', 'bob');
      await add(catalog, 'b/too', 'bob');
      const listingOf = async (owner: string, folder: string): Promise<string> =>
        (await catalog.listBelow({ owner, folder, limit: 1 }))?.nextCursor ?? '';
      const listing = await listingOf('ann', 'a');
      const read = (cursor: string) => JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [[string, number]];
      const [[, root]] = read(listing);
      const [[, theirs]] = read(await listingOf('bob', 'b'));
      const made = (place: unknown[]) => Buffer.from(JSON.stringify([['delete'], place])).toString('base64url');
      const wrong = [[], [root, 1, [['f', 'x']], null, null], [root, 1, [], 1, null], [root, 'x', [], null, null]];
      for (const cursor of [listing, 'x', ...wrong.map(made)])
        await expect(catalog.deleteBelow('ann', 'a', cursor)).rejects.toMatchObject({ code: 'invalid_cursor' });
      // A cursor that is made up reaches nobody else's files.
      const reached = await catalog.deleteBelow('ann', 'a', made([root, 9e15, [['', theirs]], null, null]));
      expect(reached?.files).toBe(0);
      expect((await catalog.totalOf('bob')).files).toBe(2);
      // Nor does it tell of them: it goes on as if the folder had no file.
      for (let n = 0; n < 65; n++) await add(catalog, `b/${n}`, 'bob');
      const past = await catalog.deleteBelow('ann', 'a', made([root, 9e15, [['', theirs]], null, null]));
      expect(past).toMatchObject({ files: 0, nextCursor: null });
    });
  });
}
