/** All files below folders at one moment, as archives have them. */
import { describe, expect, it } from 'vitest';
import type { FileBelow } from '../../server/catalog/all-below.ts';
import type { Catalog, FileRecord } from '../../server/catalog/catalog.ts';
import { addLink } from './contract-links.ts';
import type { Current } from './contract.ts';
import { addPublished, newContent } from './fixtures.ts';

/** Folders whose names are the same once they are folded come as they were made; some come after `a` and before `a/b` as texts. */
const MADE = ['🌊/潮', 'a-b/z', 'a b/z', 'ä/y', 'a/b/y', 'a/x', 'A/b/y', 'A/X', '2.txt', '1.txt'];
const PATHS = ['1.txt', '2.txt', 'ä/y', 'a/x', 'a/b/y', 'A/X', 'A/b/y', 'a b/z', 'a-b/z', '🌊/潮'];

let contents = 0;

async function add(catalog: Catalog, name: string, owner = 'ann'): Promise<string> {
  return (await addPublished(catalog, newContent(`below ${contents++}`, { size: 7 }), { name, owner })).id;
}

const paths = (files: readonly FileBelow[] | undefined): string[] | undefined => files?.map(({ path }) => path);

export function describeAllBelow(current: Current): void {
  describe('all files below a folder', () => {
    it('are those of its listing, folder by folder, by their paths from the folder on', async () => {
      const { catalog } = current();
      for (const path of MADE) await add(catalog, `f/${path}`);
      for (const name of ['g/1.txt', 'at the top']) await add(catalog, name);
      await add(catalog, 'f/other.txt', 'bob');
      const listed = (await catalog.listBelow({ owner: 'ann', folder: 'f', limit: 100 }))?.files ?? [];
      expect(listed.map(({ name }) => name)).toEqual(PATHS.map((path) => `f/${path}`));
      const fileAt = (path: string): FileRecord | undefined => listed.find(({ name }) => name === `f/${path}`);
      expect(await catalog.listAllBelow({ owner: 'ann', folder: 'f', most: 100 })).toEqual(
        PATHS.map((path) => ({ id: fileAt(path)?.id, path, size: 7, uploadedAt: fileAt(path)?.uploadedAt })),
      );
      expect(paths(await catalog.listAllBelow({ owner: 'ann', folder: 'f/a', most: 100 }))).toEqual(['x', 'b/y']);
      expect(paths(await catalog.listAllBelow({ owner: 'ann', folder: 'f', most: 2 }))).toEqual(['1.txt', '2.txt']);
      for (const [owner, folder] of [
        ['ann', 'f/1.txt'],
        ['ann', 'none'],
        ['bob', 'g'],
      ] as const)
        expect(await catalog.listAllBelow({ owner, folder, most: 100 }), folder).toBeUndefined();
    });

    it('of links are those of the folders that were shared, wherever these are, and what has come to their paths', async () => {
      const { catalog } = current();
      for (const name of ['p/a/1.txt', 'p/a/b/2.txt', 'q/3.txt', 'r/4.txt']) await add(catalog, name);
      const single = await add(catalog, 'single.txt');
      const link = await addLink(catalog, { fileIds: [single], folders: ['q', 'p/a', 'p/a/b'] });
      const all = async (): Promise<string[] | undefined> => paths(await catalog.listAllLinked(link.id, 100));
      const whole = ['q/3.txt', 'a/1.txt', 'a/b/2.txt', 'b/2.txt'];
      expect(await all()).toEqual(whole);
      expect(paths(await catalog.listAllLinked(link.id, 2))).toEqual(whole.slice(0, 2));
      await catalog.moveFolder('ann', 'q', 'moved');
      await catalog.moveFolder('ann', 'r', 'q');
      expect(await all()).toEqual(['moved/3.txt', ...whole.slice(1)]);
      const later = await add(catalog, 'p/a/later.txt');
      expect(await all()).toEqual(['moved/3.txt', 'a/1.txt', 'a/later.txt', 'a/b/2.txt', 'b/2.txt']);
      expect(await catalog.listAllLinked(link.id, 100)).toContainEqual({
        id: later,
        path: 'a/later.txt',
        size: 7,
        uploadedAt: expect.any(Number),
      });
      await catalog.deleteBelow('ann', 'moved');
      await catalog.deleteBelow('ann', 'p');
      expect(await all()).toEqual([]);
    });
  });
}
