/** The trash: files come into it, are found by nothing else, are restored as they were, or are gone with their contents. */
import { describe, expect, it } from 'vitest';
import type { Catalog, FileRecord, NewFile } from '../../server/catalog/catalog.ts';
import type { TrashedFile } from '../../server/catalog/trash.ts';
import type { Current } from './contract.ts';
import { expectCounted } from './contract-folders.ts';
import { newLink } from './contract-links.ts';
import { addPublished, fileEvents, giveFile, md5Of, newContent, removalKeys } from './fixtures.ts';

const DAY_MS = 24 * 3_600_000;

function add(catalog: Catalog, name: string, fields: Partial<NewFile> = {}, text = name): Promise<FileRecord> {
  return addPublished(catalog, newContent(text), { name, ...fields });
}

async function trashOf(catalog: Catalog, owner = 'ann'): Promise<TrashedFile[]> {
  return (await catalog.listTrash({ owner, limit: 1000 })).files;
}

async function namesOf(catalog: Catalog, owner = 'ann'): Promise<string[]> {
  const { files } = await catalog.listFiles({ owner, limit: 1000, sort: 'name', descending: false });
  return files.map(({ name }) => name).sort();
}

/** Deletes a folder into the trash. @returns how many files went at a time, and what the deletion is called. */
async function deleteFolder(catalog: Catalog, path: string): Promise<{ files: number[]; deletion: string }> {
  const files: number[] = [];
  let deletion = '';
  for (let cursor: string | undefined; ;) {
    const some = await catalog.deleteBelow('ann', path, cursor, 'trash');
    if (!some) throw new Error(`there is no folder ${path}`);
    if (some.files > 0) files.push(some.files);
    // Also the last answer names it, that has found no more.
    if (cursor !== undefined) expect(some.deletion).toBe(deletion);
    deletion = some.deletion ?? '';
    if (some.nextCursor === null) return { files, deletion };
    cursor = some.nextCursor;
  }
}

/** Whether the catalog has the content of this text, or its key is among the removals. */
async function stateOf(catalog: Catalog, text: string): Promise<[isThere: boolean, isToGo: boolean]> {
  const key = `${md5Of(text)}.txt`;
  return [
    (await catalog.findContents({ md5: md5Of(text) })).length > 0,
    (await removalKeys(catalog, 1000)).includes(key),
  ];
}

export function describeTrash(current: Current): void {
  describe('the trash', () => {
    it('takes a deleted file with all that it was, and nothing else of the catalog finds it', async () => {
      const { catalog, clock } = current();
      const kept = await add(catalog, 'kept');
      const file = await add(catalog, 'a/b/c.txt');
      clock.nowMs += 1000;
      const deleted = await catalog.deleteFile(file.id, 'ann', 'trash');
      expect(deleted).toEqual({ file, removedKey: null });
      expect(await trashOf(catalog)).toEqual([{ ...file, deletedAt: clock.nowMs, deletion: null }]);
      expect(await catalog.trashTotalOf('ann')).toEqual({ files: 1, bytes: 100 });
      expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 100 });
      expect(await namesOf(catalog)).toEqual(['kept']);
      expect(await catalog.findFile(file.id, 'ann')).toBeUndefined();
      expect(await catalog.findFile(file.id, null)).toBeUndefined();
      expect(await catalog.findFiles([file.id], 'ann')).toEqual([]);
      expect(await catalog.findFileOfContent(file.content.id, 'ann', 'latest')).toBeUndefined();
      expect(await catalog.findFolder('ann', 'a')).toBeUndefined();
      expect(await catalog.ownsContent('ann', file.content.id)).toBe(false);
      expect(await catalog.ownsOrTrashed('ann', file.content.id)).toBe(true);
      expect(await catalog.ownsOrTrashed('bob', file.content.id)).toBe(false);
      expect([await catalog.hasFiles(file.content.id), await catalog.hasFiles(kept.content.id)]).toEqual([false, true]);
      expect(await stateOf(catalog, 'a/b/c.txt')).toEqual([true, false]);
      const events = fileEvents((await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 })) ?? []);
      expect(events.map(({ kind, file: { name } }) => [kind, name])).toEqual([
        ['published', 'kept'],
        ['published', 'a/b/c.txt'],
        ['deleted', 'a/b/c.txt'],
      ]);
      expect(await catalog.deleteFile(file.id, 'ann', 'trash')).toBeUndefined();
    });

    it('gives a file back with its id, its path and its times, once, to its owner', async () => {
      const { catalog, clock } = current();
      const file = await add(catalog, 'a/b/c.txt');
      clock.nowMs += 1000;
      await catalog.deleteFile(file.id, 'ann', 'trash');
      expect(await catalog.restoreTrashed('bob', { ids: [file.id] })).toEqual([]);
      expect(await catalog.restoreTrashed('ann', { ids: ['none', file.id] })).toEqual([file]);
      expect(await catalog.restoreTrashed('ann', { ids: [file.id] })).toEqual([]);
      expect(await catalog.findFile(file.id, 'ann')).toEqual(file);
      expect(await catalog.findFolder('ann', 'a/b')).toEqual({ path: 'a/b', files: 1, bytes: 100 });
      expect(await trashOf(catalog)).toEqual([]);
      expect(await catalog.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
      expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 100 });
      const events = fileEvents((await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 })) ?? []);
      expect(events.map(({ kind }) => kind)).toEqual(['published', 'deleted', 'published']);
      expect(events[2]?.file).toMatchObject({ id: file.id, name: 'a/b/c.txt', uploadedAt: file.uploadedAt });
    });

    it('gives a number to a name that is taken by then, or the file that has it where the bytes are the same', async () => {
      const { catalog } = current();
      const first = await add(catalog, 'a/x.txt', {}, 'one');
      await catalog.deleteFile(first.id, 'ann', 'trash');
      await add(catalog, 'a/x.txt', {}, 'two');
      const [restored] = await catalog.restoreTrashed('ann', { ids: [first.id] });
      expect(restored).toEqual({ ...first, name: 'a/x (2).txt' });
      const third = await add(catalog, 'y.txt', {}, 'three');
      await catalog.deleteFile(third.id, 'ann', 'trash');
      // The same bytes once more: they join the content.
      const again = await addPublished(catalog, { id: third.content.id }, { name: 'y.txt' });
      expect(again.id).not.toBe(third.id);
      expect(await catalog.restoreTrashed('ann', { ids: [third.id] })).toEqual([again]);
      expect(await namesOf(catalog)).toEqual(['a/x (2).txt', 'a/x.txt', 'y.txt']);
      expect(await trashOf(catalog)).toEqual([]);
    });

    it('takes the file that another one replaces', async () => {
      const { catalog } = current();
      const first = await add(catalog, 'x', {}, 'one');
      await add(catalog, 'x', { onConflict: 'replace', fateOfReplaced: 'trash' }, 'two');
      const given = await giveFile(catalog, (await add(catalog, 'other', {}, 'three')).content.id, {
        name: 'x',
        onConflict: 'replace',
        fateOfReplaced: 'trash',
      });
      expect(given?.name).toBe('x');
      const replaced = (await trashOf(catalog)).map(({ content }) => content.md5);
      expect(replaced.sort()).toEqual([md5Of('one'), md5Of('two')].sort());
      expect(await catalog.restoreTrashed('ann', { ids: [first.id] })).toEqual([{ ...first, name: 'x (2)' }]);
      await add(catalog, 'x', { onConflict: 'replace' }, 'four');
      expect(await trashOf(catalog)).toHaveLength(1);
    });

    it('keeps what was deleted with a folder together, some at a time', async () => {
      const { catalog } = current();
      for (let index = 0; index < 70; index++) await add(catalog, `a/b${index % 3}/${index}`);
      await add(catalog, 'a.txt');
      const { files: deleted, deletion } = await deleteFolder(catalog, 'a');
      expect(deleted).toEqual([64, 6]);
      const files = await trashOf(catalog);
      expect(files).toHaveLength(70);
      for (const file of files) expect(file.deletion).toEqual({ id: deletion, folder: 'a' });
      expect(await catalog.trashTotalOf('ann')).toEqual({ files: 70, bytes: 7000 });
      const which = { deletion };
      expect(await catalog.restoreTrashed('bob', which)).toEqual([]);
      expect(await catalog.restoreTrashed('ann', which)).toHaveLength(64);
      expect(await catalog.restoreTrashed('ann', which)).toHaveLength(6);
      expect(await catalog.restoreTrashed('ann', which)).toEqual([]);
      expect(await namesOf(catalog)).toHaveLength(71);
      await expectCounted(catalog, 'ann');
      for (let index = 0; index < 64; index++) await add(catalog, `whole/${index}`);
      const whole = await deleteFolder(catalog, 'whole');
      expect(whole.files).toEqual([64]);
      expect(await catalog.deleteTrashed('ann', { deletion: whole.deletion })).toMatchObject({ files: 64 });
      const another = await deleteFolder(catalog, 'a/b1');
      expect(another.deletion).not.toBe(deletion);
      expect((await trashOf(catalog)).every((file) => file.deletion?.folder === 'a/b1')).toBe(true);
      const gone = await catalog.deleteTrashed('ann', { deletion: another.deletion });
      expect([gone.files, gone.bytes, gone.removed.length]).toEqual([23, 2300, 23]);
    });

    it('is listed page by page, the latest first; a page goes on after its last file, whatever happens meanwhile', async () => {
      const { catalog, clock } = current();
      const files: FileRecord[] = [];
      for (const name of ['1', '2', '3', '4', '5']) files.push(await add(catalog, name));
      for (const [index, { id }] of files.entries()) {
        clock.nowMs += index === 2 ? 0 : 10;
        await catalog.deleteFile(id, 'ann', 'trash');
      }
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page = await catalog.listTrash({ owner: 'ann', limit: 2, ...(cursor === '' ? {} : { cursor }) });
        seen.push(...page.files.map(({ name }) => name));
        cursor = page.nextCursor;
        if (seen.length === 2) await catalog.restoreTrashed('ann', { ids: [files[4]?.id ?? ''] });
      }
      expect([seen.slice(0, 2), seen.slice(2, 4).sort(), seen.slice(4)]).toEqual([['5', '4'], ['2', '3'], ['1']]);
      expect((await catalog.listTrash({ owner: 'bob', limit: 2 })).files).toEqual([]);
      for (const cursor of ['x', 'WyJ4Il0', 'W1sidHJhc2giXSxbIngiLDFdXQ'])
        await expect(catalog.listTrash({ owner: 'ann', limit: 2, cursor })).rejects.toMatchObject({
          code: 'invalid_cursor',
        });
    });

    it('keeps a content as long as a file, or the trash of anybody, has it', async () => {
      const { catalog } = current();
      const file = await add(catalog, 'x');
      const bobs = await giveFile(catalog, file.content.id, { owner: 'bob', name: 'x' });
      await catalog.deleteFile(file.id, 'ann', 'trash');
      expect(await catalog.deleteFile(bobs?.id ?? '', 'bob')).toMatchObject({ removedKey: null });
      expect(await stateOf(catalog, 'x')).toEqual([true, false]);
      // Others may still get a file of it, and the same bytes join it.
      const again = await addPublished(catalog, { id: file.content.id }, { owner: 'bob', name: 'y' });
      expect(await catalog.deleteTrashed('bob', { ids: [file.id] })).toEqual({ files: 0, bytes: 0, removed: [] });
      expect(await catalog.deleteTrashed('ann', { ids: [file.id] })).toEqual({ files: 1, bytes: 100, removed: [] });
      expect(await stateOf(catalog, 'x')).toEqual([true, false]);
      await catalog.deleteFile(again.id, 'bob', 'trash');
      const { key, md5 } = file.content;
      expect(await catalog.deleteTrashed('bob', { ids: [again.id] })).toMatchObject({ removed: [{ key, md5 }] });
      expect(await stateOf(catalog, 'x')).toEqual([false, true]);
    });

    it('is emptied of what was in it until a time, and purged of what is old, of all owners', async () => {
      const { catalog, clock } = current();
      const trash = async (name: string, owner: string): Promise<void> => {
        const { id } = await add(catalog, name, { owner });
        await catalog.deleteFile(id, owner, 'trash');
      };
      await trash('old of ann', 'ann');
      await trash('old of bob', 'bob');
      clock.nowMs += DAY_MS;
      const until = clock.nowMs;
      await trash('new of ann', 'ann');
      clock.nowMs += 10;
      await trash('newest of ann', 'ann');
      expect(await catalog.purgeTrash(2 * DAY_MS)).toEqual({ files: 0, bytes: 0, removed: [] });
      expect(await catalog.purgeTrash(DAY_MS)).toMatchObject({ files: 2, bytes: 200 });
      expect(await catalog.trashTotalOf('bob')).toEqual({ files: 0, bytes: 0 });
      expect(await catalog.deleteTrashed('ann', { until })).toMatchObject({ files: 1 });
      expect((await trashOf(catalog)).map(({ name }) => name)).toEqual(['newest of ann']);
      expect(await catalog.purgeTrash(0)).toMatchObject({ files: 1 });
      for (const text of ['old of ann', 'old of bob', 'new of ann', 'newest of ann'])
        expect(await stateOf(catalog, text)).toEqual([false, true]);
    });

    it('keeps the place of a file in links, but not in those that are revoked', async () => {
      const { catalog, clock } = current();
      const [one, two] = [await add(catalog, 'one'), await add(catalog, 'two')];
      const links = [
        newLink({ fileIds: [one.id, two.id] }),
        newLink({ fileIds: [one.id] }),
        newLink({ fileIds: [one.id] }),
      ];
      for (const link of links) await catalog.createLink(link, 10);
      const positions = async (at: number): Promise<[number, string][]> =>
        (await catalog.listLinkFiles(links[at]?.id ?? '')).map(({ position, file }) => [position, file.name]);
      await catalog.deleteFile(one.id, 'ann', 'trash');
      expect([await positions(0), await positions(1)]).toEqual([[[2, 'two']], []]);
      expect(await catalog.findLinkFile(links[0]?.id ?? '', 1)).toBeUndefined();
      // One that is seen to be empty is not forgotten once it is not.
      await catalog.forgetLinks('', DAY_MS, 10);
      await catalog.revokeLink(links[2]?.id ?? '', 'ann');
      await catalog.restoreTrashed('ann', { ids: [one.id] });
      expect([await positions(0), await positions(1), await positions(2)]).toEqual([
        [
          [1, 'one'],
          [2, 'two'],
        ],
        [[1, 'one']],
        [],
      ]);
      clock.nowMs += 2 * DAY_MS;
      await catalog.forgetLinks('', DAY_MS, 10);
      expect(await positions(1)).toEqual([[1, 'one']]);
      await catalog.deleteFile(one.id, 'ann', 'trash');
      const again = await addPublished(catalog, { id: one.content.id }, { name: 'one' });
      await catalog.restoreTrashed('ann', { ids: [one.id] });
      expect(await catalog.findLinkFile(links[1]?.id ?? '', 1)).toMatchObject({ id: again.id });
      await catalog.deleteFile(again.id, 'ann', 'trash');
      await catalog.deleteTrashed('ann', { ids: [again.id] });
      expect(await positions(1)).toEqual([]);
    });

    it('gives a folder that comes back its place in links again, but no other folder', async () => {
      const { catalog, clock } = current();
      const [inner, outer] = [await add(catalog, 'a/b/inner'), await add(catalog, 'a/outer')];
      const links = [
        newLink({ fileIds: [], folders: ['a/b'] }),
        newLink({ fileIds: [outer.id], folders: ['a'] }),
        newLink({ fileIds: [], folders: ['a/b'] }),
      ];
      for (const link of links) await catalog.createLink(link, 10);
      const [one, both, revoked] = links.map(({ id }) => id) as [string, string, string];
      const foldersOf = async (id: string): Promise<[number, string, number][]> =>
        (await catalog.listLinkFolders(id)).map(({ position, path, files }) => [position, path, files]);

      const { deletion } = await deleteFolder(catalog, 'a');
      expect([await foldersOf(one), await foldersOf(both)]).toEqual([[], []]);
      await catalog.forgetLinks('', DAY_MS, 10);
      await catalog.revokeLink(revoked, 'ann');
      await catalog.restoreTrashed('ann', { deletion });
      expect(await foldersOf(one)).toEqual([[1, 'a/b', 1]]);
      expect(await foldersOf(both)).toEqual([[2, 'a', 2]]);
      expect(await foldersOf(revoked)).toEqual([]);
      // It was seen to be empty, and is so no more.
      clock.nowMs += 2 * DAY_MS;
      await catalog.forgetLinks('', DAY_MS, 10);
      expect(await foldersOf(one)).toEqual([[1, 'a/b', 1]]);

      await catalog.deleteFile(inner.id, 'ann', 'trash');
      const secret = await add(catalog, 'a/b/another', {}, 'not for those who have the link');
      await catalog.restoreTrashed('ann', { ids: [inner.id] });
      expect([await foldersOf(one), await foldersOf(both)]).toEqual([[], [[2, 'a', 3]]]);
      expect(secret.name).toBe('a/b/another');
    });

    it('stays over a restart, and so do its totals', async () => {
      const { catalog, reopen } = current();
      const file = await add(catalog, 'x');
      await catalog.deleteFile(file.id, 'ann', 'trash');
      const after = await reopen();
      expect(await after.trashTotalOf('ann')).toEqual({ files: 1, bytes: 100 });
      expect(await after.restoreTrashed('ann', { ids: [file.id] })).toEqual([file]);
      expect(await after.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
    });
  });
}
