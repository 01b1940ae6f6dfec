/** Events: recorded with what happens, read by number, forgotten by age. */
import { describe, expect, it } from 'vitest';
import type { Catalog, EventRecord } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { T0, addPublished, addUpload, newContent, newFile, fileEvents, giveFile } from './fixtures.ts';

export function describeEvents(current: Current): void {
  const listed = async (catalog: Catalog, owner: string | null = null, after = 0): Promise<EventRecord[]> =>
    (await catalog.listEvents({ owner, after, limit: 1000 })) ?? [];

  describe('events', () => {
    it('are what happens to files, in its order, each with the file as it was then', async () => {
      const { catalog, clock } = current();
      const first = await addPublished(catalog, newContent('c'), { name: 'a' });
      clock.nowMs += 1;
      await giveFile(catalog, first.content.id, { id: 'b', owner: 'bob', name: 'b', type: null });
      clock.nowMs += 1;
      await catalog.renameFile(first.id, 'ann', 'c', 'image/png');
      clock.nowMs += 1;
      await catalog.deleteFile(first.id, 'ann');
      const { id, md5, size } = first.content;
      const of = (file: object): object => ({ ...file, content: { id, md5, size, sha1: null, sha256: null } });
      const renamed = { ...first, name: 'c', type: 'image/png' };
      expect(await listed(catalog)).toEqual([
        { number: 1, kind: 'published', at: T0, file: of(first) },
        {
          number: 2,
          kind: 'published',
          at: T0 + 1,
          file: of({ ...newFile({ id: 'b', owner: 'bob', name: 'b', type: null }), uploadedAt: T0 + 1 }),
        },
        { number: 3, kind: 'renamed', at: T0 + 2, file: of(renamed) },
        { number: 4, kind: 'deleted', at: T0 + 3, file: of(renamed) },
      ]);
    });

    it('are not recorded for calls that changed nothing', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c'), { name: 'a' });
      const before = await catalog.latestEvent(null);
      const publish = async (content: { id: number } | ReturnType<typeof newContent>, epoch: number) =>
        (
          await catalog.publish({
            uploadId: await addUpload(catalog, { size: null }),
            epoch,
            content,
            file: newFile({ name: 'a' }),
          })
        ).kind;
      expect(await publish(newContent('d'), 7)).toBe('lost');
      expect(await publish(newContent('c'), 1)).toBe('conflict');
      expect(await publish({ id: file.content.id }, 1)).toBe('published');
      const failing = catalog.publish({
        uploadId: await addUpload(catalog, { size: 7 }),
        epoch: 1,
        content: newContent('e'),
        file: newFile(),
      });
      await expect(failing).rejects.toThrow('cannot become content');
      expect(await giveFile(catalog, file.content.id, { name: 'a' })).toEqual(file);
      expect(await giveFile(catalog, 999)).toBeUndefined();
      expect(await catalog.renameFile(file.id, 'bob', 'b', null)).toBeUndefined();
      expect(await catalog.deleteFile(file.id, 'bob')).toBeUndefined();
      expect(await catalog.latestEvent(null)).toBe(before);
    });

    it('are read from any number, of one owner or of all, so many at a time', async () => {
      const { catalog } = current();
      for (const owner of ['ann', 'bob', 'ann', 'ann'])
        await addPublished(catalog, newContent(`c${Math.random()}`), { owner });
      const numbers = async (owner: string | null, after: number, limit: number): Promise<number[] | undefined> =>
        (await catalog.listEvents({ owner, after, limit }))?.map(({ number }) => number);
      expect(await numbers(null, 0, 10)).toEqual([1, 2, 3, 4]);
      expect(await numbers(null, 2, 1)).toEqual([3]);
      expect(await numbers('ann', 0, 2)).toEqual([1, 3]);
      expect(await numbers('ann', 3, 10)).toEqual([4]);
      expect(await numbers('ann', 4, 10)).toEqual([]);
      expect(await numbers('cid', 0, 10)).toEqual([]);
      expect(await Promise.all(['ann', 'bob', 'cid', null].map((owner) => catalog.latestEvent(owner)))).toEqual([
        4, 2, 0, 4,
      ]);
    });

    it('have the digests that are known by now, and none of a file that is gone', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c', { sha256: 'e'.repeat(64) }));
      await addPublished(catalog, { id: file.content.id }, { owner: 'bob' });
      await catalog.addDigests(file.content.id, { sha1: 'd'.repeat(40) });
      const digests = async (): Promise<unknown[]> =>
        fileEvents(await listed(catalog, 'ann')).map(({ file: { content } }) => [content.sha1, content.sha256]);
      expect(await digests()).toEqual([['d'.repeat(40), 'e'.repeat(64)]]);
      // Bob has it still, which is none of her business.
      await catalog.deleteFile(file.id, 'ann');
      expect(await digests()).toEqual([
        [null, null],
        [null, null],
      ]);
    });

    it('are forgotten in their order, so many at a time, once they are old enough', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      // The database's clock was set back by 3 ms before the last.
      for (const at of [T0 + 1, T0 + 5, T0 + 2]) {
        clock.nowMs = at;
        await catalog.renameFile(file.id, 'ann', `at ${at}`, null);
      }
      clock.nowMs = T0 + 9;
      const left = async (): Promise<number[]> => (await listed(catalog, 'ann', 2)).map(({ number }) => number);
      expect(await catalog.forgetEvents(9, 10)).toBe(0);
      expect(await catalog.forgetEvents(8, 10)).toBe(1);
      expect(await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 })).toBeNull();
      expect((await listed(catalog, 'ann', 1)).map(({ number }) => number)).toEqual([2, 3, 4]);
      // None before one that stays.
      expect(await catalog.forgetEvents(6, 10)).toBe(1);
      expect(await left()).toEqual([3, 4]);
      expect(await catalog.forgetEvents(0, 1)).toBe(1);
      expect(await catalog.listEvents({ owner: 'ann', after: 2, limit: 10 })).toBeNull();
      expect(await catalog.listEvents({ owner: null, after: 2, limit: 10 })).toBeNull();
      expect((await listed(catalog, null, 3)).map(({ number }) => number)).toEqual([4]);
    });

    it('of others that are forgotten change nothing for an owner', async () => {
      const { catalog } = current();
      await addPublished(catalog, newContent('a'), { owner: 'ann' });
      await addPublished(catalog, newContent('b'), { owner: 'bob' });
      await catalog.forgetEvents(-1, 1);
      await addPublished(catalog, newContent('c'), { owner: 'bob' });
      await catalog.forgetEvents(-1, 10);
      expect(await catalog.listEvents({ owner: 'ann', after: 1, limit: 10 })).toEqual([]);
      expect(await catalog.listEvents({ owner: 'cid', after: 0, limit: 10 })).toEqual([]);
      expect(await catalog.listEvents({ owner: 'bob', after: 2, limit: 10 })).toBeNull();
      expect(await Promise.all(['ann', 'bob', 'cid', null].map((owner) => catalog.latestEvent(owner)))).toEqual([
        1, 3, 0, 3,
      ]);
    });

    it('have numbers that are never given out twice, also after all are forgotten and a restart', async () => {
      const { catalog, reopen } = current();
      await addPublished(catalog, newContent('a'));
      await addPublished(catalog, newContent('b'));
      const secret = await catalog.eventSecret();
      expect(await catalog.forgetEvents(-1, 10)).toBe(2);
      const again = await reopen();
      expect(await again.latestEvent('ann')).toBe(2);
      await addPublished(again, newContent('c'));
      expect((await listed(again, 'ann', 2)).map(({ number }) => number)).toEqual([3]);
      expect(await again.eventSecret()).toBe(secret);
      expect(secret).toMatch(/^[\da-f]{32}$/);
    });
  });
}
