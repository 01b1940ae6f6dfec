/** Files: added, found, renamed, deleted. */
import { describe, expect, it } from 'vitest';
import type { FileRecord } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { T0, addPublished, addUpload, commitTo, newContent, newFile, removalKeys, giveFile } from './fixtures.ts';

export function describeFiles(current: Current): void {
  describe('files', () => {
    it('delete the upload that they came from, unless the store still keeps something of it', async () => {
      const { catalog } = current();
      for (const storeState of [null, 'a note']) {
        const uploadId = await addUpload(catalog);
        await catalog.commitOffset(commitTo(uploadId, 10, { storeState }));
        const file = newFile({ owner: 'ann' });
        const content = newContent(`kept ${storeState}`);
        const outcome = await catalog.publish({ uploadId, epoch: 1, content, file });
        expect(outcome.kind).toBe('published');
        await catalog.deleteFile(file.id, 'ann');
        const found = await catalog.findUpload(uploadId);
        expect(found?.state).toBe(storeState === null ? undefined : 'terminated');
        expect(await catalog.listUndiscarded('', 10)).toHaveLength(storeState === null ? 0 : 1);
        await catalog.forgetStoreState(uploadId);
        expect(await catalog.listUndiscarded('', 10)).toEqual([]);
      }
    });

    it('are given without a transfer, once per owner, content and name', async () => {
      const { catalog } = current();
      const { content } = await addPublished(catalog, newContent('c'));
      const wanted = newFile({ owner: 'bob', name: 'b.txt' });
      const given = await giveFile(catalog, content.id, wanted);
      expect(given).toEqual({ ...wanted, uploadedAt: T0, content });
      expect(await giveFile(catalog, content.id, { owner: 'bob', name: 'b.txt' })).toEqual(given);
      const another = await giveFile(catalog, content.id, { owner: 'bob', name: 'B.txt' });
      expect(another?.id).not.toBe(given?.id);
      expect(await catalog.findFile(wanted.id, 'bob')).toEqual(given);
    });

    it('are given once when asked for together', async () => {
      const { catalog } = current();
      const { content } = await addPublished(catalog, newContent('c'));
      const given = await Promise.all(Array.from({ length: 8 }, () => giveFile(catalog, content.id, { owner: 'bob' })));
      expect(new Set(given.map((file) => file?.id)).size).toBe(1);
    });

    it('are counted for each owner, with their sizes, as they come and go', async () => {
      const { catalog, reopen } = current();
      expect(await catalog.totalOf('ann')).toEqual({ files: 0, bytes: 0 });
      const first = await addPublished(catalog, newContent('c', { size: 30 }));
      const second = await addPublished(catalog, newContent('d', { size: 12 }));
      await giveFile(catalog, first.content.id, { name: 'again' });
      // The same name for the same content is the same file.
      await giveFile(catalog, first.content.id, { name: 'again' });
      await giveFile(catalog, first.content.id, { owner: 'bob' });
      await catalog.renameFile(second.id, 'ann', 'renamed', null);
      expect(await catalog.totalOf('ann')).toEqual({ files: 3, bytes: 72 });
      expect(await catalog.totalOf('bob')).toEqual({ files: 1, bytes: 30 });
      await catalog.deleteFile(first.id, 'ann');
      expect(await catalog.totalOf('ann')).toEqual({ files: 2, bytes: 42 });
      await catalog.deleteFile(second.id, 'bob');
      expect(await catalog.totalOf('ann')).toEqual({ files: 2, bytes: 42 });
      const again = await reopen();
      expect(await again.totalOf('bob')).toEqual({ files: 1, bytes: 30 });
      expect(await again.totalOf('eve')).toEqual({ files: 0, bytes: 0 });
    });

    it('are not given of content that is gone', async () => {
      const { catalog } = current();
      const { id, content } = await addPublished(catalog, newContent('c'));
      await catalog.deleteFile(id, 'ann');
      expect(await giveFile(catalog, content.id)).toBeUndefined();
    });

    it('are their owner’s alone', async () => {
      const { catalog } = current();
      const { id } = await addPublished(catalog, newContent('c'));
      expect(await catalog.findFile(id, 'bob')).toBeUndefined();
      expect(await catalog.renameFile(id, 'bob', 'stolen', null)).toBeUndefined();
      expect(await catalog.deleteFile(id, 'bob')).toBeUndefined();
      expect(await catalog.findFile(id, 'ann')).toMatchObject({ name: 'a.txt' });
    });

    it('are found by content, the owner’s oldest or latest; by id, anyone’s', async () => {
      const { catalog, clock } = current();
      const first = await addPublished(catalog, newContent('c'));
      const contentId = first.content.id;
      clock.nowMs += 1;
      const second = await giveFile(catalog, contentId, { name: 'later' });
      clock.nowMs += 1;
      const third = await giveFile(catalog, contentId, { owner: 'bob' });
      expect(await catalog.findFileOfContent(contentId, 'ann', 'latest')).toEqual(second);
      expect(await catalog.findFileOfContent(contentId, 'ann', 'oldest')).toEqual(first);
      expect(await catalog.findFileOfContent(contentId, 'bob', 'oldest')).toEqual(third);
      expect(await catalog.findFileOfContent(contentId, 'eve', 'oldest')).toBeUndefined();
      expect(await catalog.findFile(third?.id ?? '', null)).toEqual(third);
      expect(await catalog.findFile('another', null)).toBeUndefined();
    });

    it('are found many at once by id, in any order: those that are there, of one owner or of all', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      const second = await giveFile(catalog, first.content.id, { name: 'second' });
      const other = await giveFile(catalog, first.content.id, { owner: 'bob' });
      const ids = [other, second, first].map((file) => file?.id ?? '');
      const byId = (files: FileRecord[]): FileRecord[] => files.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      expect(byId(await catalog.findFiles(['another', ...ids], 'ann'))).toEqual(byId([first, second as FileRecord]));
      expect(byId(await catalog.findFiles(ids, null))).toEqual(byId([first, second, other] as FileRecord[]));
      const most = Array.from({ length: 511 }, (_, index) => `none-${index}`);
      expect(await catalog.findFiles([...most, first.id], 'ann')).toEqual([first]);
      expect(await catalog.findFiles(ids, 'eve')).toEqual([]);
    });

    it('are renamed', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c'));
      const renamed = { ...file, name: 'New.png', type: 'image/png' };
      expect(await catalog.renameFile(file.id, 'ann', 'New.png', 'image/png')).toEqual(renamed);
      expect(await catalog.findFile(file.id, 'ann')).toEqual(renamed);
      const query = { owner: 'ann', limit: 10, sort: 'name', descending: false } as const;
      expect((await catalog.listFiles({ ...query, search: 'NEW' })).files).toEqual([renamed]);
      expect((await catalog.listFiles({ ...query, search: 'a.txt' })).files).toEqual([]);
    });

    it('leave their content to the others that refer to it, and the last one takes it along', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      const second = await addPublished(catalog, { id: first.content.id }, { owner: 'bob' });
      expect(await catalog.deleteFile(first.id, 'ann')).toEqual({ file: first, removedKey: null });
      expect(await catalog.findContents({ md5: first.content.md5 })).toHaveLength(1);
      expect(await catalog.listRemovals(0, 10)).toEqual([]);

      const { key } = second.content;
      expect(await catalog.deleteFile(second.id, 'bob')).toEqual({ file: second, removedKey: key });
      expect(await catalog.findContents({ md5: first.content.md5 })).toEqual([]);
      expect(await removalKeys(catalog, 10)).toEqual([key]);
      expect(await catalog.deleteFile(second.id, 'bob')).toBeUndefined();
    });

    it('delete the upload that they came from', async () => {
      const { catalog } = current();
      const [kept, gone] = [await addUpload(catalog), await addUpload(catalog)];
      const file = newFile();
      await catalog.publish({ uploadId: kept, epoch: 1, content: newContent('kept'), file: newFile() });
      await catalog.publish({ uploadId: gone, epoch: 1, content: newContent('gone'), file });
      await catalog.deleteFile(file.id, 'ann');
      expect(await catalog.findUpload(gone)).toBeUndefined();
      expect(await catalog.findUpload(kept)).toBeDefined();
    });
  });
}
