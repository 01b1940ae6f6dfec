/** Quotas: what counts, and that nothing gets past them, however many calls come at once. */
import { describe, expect, it } from 'vitest';
import type { Catalog, NewUpload } from '../../server/catalog/catalog.ts';
import { MOST_UNKNOWN_FINALS, NO_QUOTA, OverQuota, type Quota, sumOf } from '../../server/catalog/quotas.ts';
import type { Current } from './contract.ts';
import { addPublished, addUpload, commitTo, giveFile, newContent, newFile, newUpload, nextLease } from './fixtures.ts';

const MIB = 1024 * 1024;

/** Of everybody. */
function everybody(quota: Partial<Quota>): (owner: string) => Quota {
  return () => ({ ...NO_QUOTA, ...quota });
}

/** How many uploads of these were begun, where all others were refused for their owner's quota. */
async function countBegun(catalog: Catalog, uploads: readonly Partial<NewUpload>[]): Promise<number> {
  const outcomes = await Promise.allSettled(uploads.map((fields) => catalog.createUpload(newUpload(fields))));
  for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(OverQuota);
  return outcomes.filter(({ status }) => status === 'fulfilled').length;
}

const atOnce = (text: string, owner = 'ann', size = 100) => ({
  upload: { ...newUpload({ owner }), size },
  content: newContent(text, { size }),
  file: newFile({ owner, name: text }),
});

/** Describes what of quotas must hold in every dialect. */
export function describeQuotas(running: Current): void {
  describe('what an owner has', () => {
    it('is files, trash and unfinished uploads, with the lengths that are known', async () => {
      const { catalog } = running();
      await addPublished(catalog, newContent('a'), { name: 'a' });
      const trashed = await addPublished(catalog, newContent('b', { size: 30 }), { name: 'b' });
      await catalog.deleteFile(trashed.id, 'ann', 'trash');
      await addPublished(catalog, newContent('of bob'), { owner: 'bob' });
      await addUpload(catalog, { size: 1000 });
      const expected = await addUpload(catalog, { size: null });
      await catalog.expectLength(expected, 1, 200);
      const unknown = await addUpload(catalog, { size: null });
      await catalog.commitOffset(commitTo(unknown, 7));
      const ended = await addUpload(catalog, { size: 5000 });
      await catalog.endUpload(ended, null, 'terminated', null);

      const usage = await catalog.usageOf('ann');
      expect(usage).toEqual({
        files: { files: 1, bytes: 100 },
        trash: { files: 1, bytes: 30 },
        uploads: { open: 3, files: 3, bytes: 1207 },
      });
      expect(sumOf(usage)).toEqual({ files: 5, bytes: 1337 });
      const nothing = { files: 0, bytes: 0 };
      expect(await catalog.usageOf('nobody')).toEqual({
        files: nothing,
        trash: nothing,
        uploads: { ...nothing, open: 0 },
      });
    });

    it('has the bytes of partials once, also when a final joins them', async () => {
      const { catalog, clock } = running();
      const first = await addUpload(catalog, { kind: 'partial', size: 40 });
      const second = await addUpload(catalog, { kind: 'partial', size: null });
      await catalog.commitOffset(commitTo(second, 5));
      expect((await catalog.usageOf('ann')).uploads).toEqual({ open: 2, files: 0, bytes: 45 });

      const final = await addUpload(catalog, { kind: 'final', size: null, partials: [first, second] });
      expect((await catalog.usageOf('ann')).uploads).toEqual({ open: 3, files: 1, bytes: 45 });
      await catalog.declareLength(second, 1, 60);
      expect((await catalog.usageOf('ann')).uploads.bytes).toBe(100);
      const another = await addUpload(catalog, { kind: 'final', size: 80, partials: [first, first] });
      expect((await catalog.usageOf('ann')).uploads.bytes).toBe(180);
      await catalog.endUpload(another, null, 'rejected', null);
      expect((await catalog.usageOf('ann')).uploads.bytes).toBe(100);

      await catalog.publish({ uploadId: final, epoch: 1, content: newContent('joined'), file: newFile() });
      expect(sumOf(await catalog.usageOf('ann'))).toEqual({ files: 1, bytes: 100 });
      for (const id of [another, final]) await catalog.releasePartials(id, 0);
      clock.nowMs += 1;
      expect(sumOf(await catalog.usageOf('ann'))).toEqual({ files: 1, bytes: 100 });
    });

    it('has the bytes of partials again when their final has ended without a file', async () => {
      const { catalog } = running();
      const partial = await addUpload(catalog, { kind: 'partial', size: 40 });
      const final = await addUpload(catalog, { kind: 'final', size: 40, partials: [partial] });
      await catalog.endUpload(final, null, 'rejected', null);
      expect((await catalog.usageOf('ann')).uploads.bytes).toBe(40);
      await catalog.releasePartials(final, null);
      expect((await catalog.usageOf('ann')).uploads.bytes).toBe(40);
    });
  });

  describe('a quota', () => {
    it.each([
      ['files', 100, { files: 100 }, 10],
      ['bytes', 100, { bytes: 1000 }, 10],
      ['bytes of large uploads', 100, { bytes: 200 * MIB }, 2 * MIB],
      ['files, far from the bound at first', 450, { files: 450 }, 10],
      ['bytes, far from the bound at first', 450, { bytes: 450 * MIB }, MIB],
    ])('of %s lets in exactly what it says, of many uploads at once', async (_what, most, quota, size) => {
      const catalog = await running().reopen(everybody(quota));
      const all = Array.from({ length: most + 100 }, () => ({ size }));
      expect(await countBegun(catalog, all)).toBe(most);
      expect(await countBegun(catalog, [{ size }])).toBe(0);
      expect(sumOf(await catalog.usageOf('ann'))).toEqual({ files: most, bytes: most * size });
      expect(await countBegun(catalog, [{ size, owner: 'bob' }])).toBe(1);
    });

    it('counts an upload no more when it ends, and its file in its place when it is published', async () => {
      const catalog = await running().reopen(everybody({ files: 2, bytes: 200 }));
      const [first, second] = [await addUpload(catalog), await addUpload(catalog)];
      await catalog.publish({ uploadId: first, epoch: 1, content: newContent('a'), file: newFile() });
      expect(await countBegun(catalog, [{}])).toBe(0);
      await catalog.endUpload(second, null, 'terminated', null);
      expect(await countBegun(catalog, [{}, {}])).toBe(1);
    });

    it('counts the trash, and lets everything in it be restored', async () => {
      const catalog = await running().reopen(everybody({ files: 1 }));
      const file = await addPublished(catalog, newContent('a'));
      await catalog.deleteFile(file.id, 'ann', 'trash');
      await expect(catalog.createUpload(newUpload())).rejects.toMatchObject({
        limit: 'files',
        quota: { files: 1 },
        usage: { trash: { files: 1, bytes: 100 } },
      });
      expect(await catalog.restoreTrashed('ann', { ids: [file.id] })).toHaveLength(1);
      await catalog.deleteFile(file.id, 'ann', 'gone');
      expect(await countBegun(catalog, [{}])).toBe(1);
    });

    it('is kept where a length is declared, and where it is expected', async () => {
      const catalog = await running().reopen(everybody({ bytes: 300 }));
      await addUpload(catalog, { size: 100 });
      const id = await addUpload(catalog, { size: null });
      for (const size of [201, MIB, 10 * MIB]) {
        await expect(catalog.declareLength(id, 1, size)).rejects.toThrow(OverQuota);
        await expect(catalog.expectLength(id, 1, size)).rejects.toThrow(OverQuota);
      }
      expect(await catalog.findUpload(id)).toMatchObject({ size: null, expectedSize: null });
      expect(await catalog.declareLength(id, 2, 200)).toBe(false);
      expect(await catalog.expectLength(id, 1, 200)).toBe(true);
      expect(await catalog.declareLength(id, 1, 200)).toBe(true);
      expect(await countBegun(catalog, [{ size: 1 }])).toBe(0);
      expect(await countBegun(catalog, [{ size: 0 }])).toBe(1);
    });

    it('does not let in what has arrived without a length, where it is too much by then', async () => {
      const catalog = await running().reopen(everybody({ bytes: 100 }));
      const id = await addUpload(catalog, { size: null });
      await catalog.commitOffset(commitTo(id, 150));
      await expect(catalog.declareLength(id, 1, 150)).rejects.toThrow(OverQuota);
      expect(await catalog.findUpload(id)).toMatchObject({ state: 'receiving', offset: 150, size: null });
    });

    it('is kept where a content is given, unless the owner has the file', async () => {
      const { content } = await addPublished(running().catalog, newContent('a'), { name: 'a' });
      const catalog = await running().reopen(everybody({ files: 2 }));
      expect(await giveFile(catalog, content.id, { name: 'b' })).toMatchObject({ name: 'b' });
      expect(await giveFile(catalog, content.id, { name: 'b' })).toMatchObject({ name: 'b' });
      await expect(giveFile(catalog, content.id, { name: 'c' })).rejects.toThrow(OverQuota);
      expect(await giveFile(catalog, content.id, { name: 'd', owner: 'bob' })).toMatchObject({ owner: 'bob' });
      expect(await catalog.totalOf('ann')).toEqual({ files: 2, bytes: 200 });
      const given = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => giveFile(catalog, content.id, { owner: 'cleo', name: `${index}` })),
      );
      expect(given.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    });

    it('counts the difference where a file takes the place of another one', async () => {
      const first = await addPublished(running().catalog, newContent('a', { size: 60 }), { name: 'a' });
      const other = await addPublished(running().catalog, newContent('b', { size: 100 }), { owner: 'bob' });
      const catalog = await running().reopen(everybody({ files: 1, bytes: 100 }));
      const replacing = newFile({ name: 'a', onConflict: 'replace' });
      await expect(catalog.addFile(other.content.id, { ...replacing, fateOfReplaced: 'trash' })).rejects.toThrow(
        OverQuota,
      );
      expect(await catalog.findFile(first.id, 'ann')).toBeDefined();
      expect(await catalog.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
      await catalog.addFile(other.content.id, { ...replacing, fateOfReplaced: 'gone' });
      expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 100 });
    });

    it('is kept by uploads that are recorded with their publication', async () => {
      const catalog = await running().reopen(everybody({ files: 2 }));
      const outcomes = await Promise.allSettled(
        ['a', 'b', 'c', 'd'].map((text) => catalog.publishAtOnce(atOnce(text))),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
      expect(await catalog.totalOf('ann')).toEqual({ files: 2, bytes: 200 });
      const refused = outcomes.findIndex(({ status }) => status === 'rejected');
      expect(await catalog.findContents({ md5: newContent('abcd'[refused] ?? '').md5 })).toEqual([]);
    });

    it('changes nothing about what undoes itself', async () => {
      const catalog = await running().reopen(everybody({ files: 10 }));
      const { content } = await addPublished(catalog, newContent('a'));
      expect(await catalog.publishAtOnce(atOnce('a', 'bob'))).toEqual({ kind: 'conflict' });
      await addUpload(catalog);
      expect(await catalog.publishAtOnce(atOnce('b'), 1)).toEqual({ kind: 'too_many' });
      expect(await catalog.findContents({ md5: newContent('b').md5 })).toEqual([]);
      expect(await catalog.totalOf('ann')).toEqual({ files: 1, bytes: 100 });
      expect(await catalog.addFile(content.id + 1000, newFile())).toBeUndefined();
      expect(await catalog.createUpload(newUpload(), 1)).toBeUndefined();
    });

    it('that was lowered leaves what is there: it can be used, finished and deleted', async () => {
      const before = running().catalog;
      const file = await addPublished(before, newContent('a'), { name: 'a' });
      const { content } = await addPublished(before, newContent('b'), { name: 'b' });
      const [begun, expected] = [await addUpload(before), await addUpload(before, { size: null })];
      await before.expectLength(expected, 1, 100);
      const catalog = await running().reopen(everybody({ files: 1, bytes: 100 }));
      expect(await countBegun(catalog, [{}])).toBe(0);
      expect(await giveFile(catalog, content.id, { name: 'b' })).toMatchObject({ name: 'b' });
      expect(await catalog.renameFile(file.id, 'ann', 'c', null)).toMatchObject({ name: 'c' });
      expect(await catalog.declareLength(expected, 1, 100)).toBe(true);
      for (const [uploadId, text] of [
        [begun, 'd'],
        [expected, 'e'],
      ] as const) {
        const outcome = await catalog.publish({
          uploadId,
          epoch: 1,
          content: newContent(text),
          file: newFile({ name: text }),
        });
        expect(outcome.kind).toBe('published');
      }
      expect(await catalog.deleteFile(file.id, 'ann')).toBeDefined();
    });

    it('that was lowered stops no upload whose length was declared, and no writer but the one that holds it', async () => {
      const before = running().catalog;
      await addPublished(before, newContent('a'));
      const [declared, unknown] = [await addUpload(before), await addUpload(before, { size: null })];
      await before.commitOffset(commitTo(unknown, 50));
      const catalog = await running().reopen(everybody({ bytes: 10 }));
      expect(await catalog.expectLength(declared, 1, 100)).toBe(true);
      expect(await catalog.declareLength(unknown, 2, 50)).toBe(false);
      expect(await catalog.expectLength(unknown, 2, 50)).toBe(false);
      await expect(catalog.declareLength(unknown, 1, 50)).rejects.toThrow(OverQuota);
    });

    it('of unfinished uploads stands in the place of the one that all have', async () => {
      const catalog = await running().reopen((owner) => ({ ...NO_QUOTA, openUploads: owner === 'ann' ? 2 : null }));
      for (const isBegun of [true, true, false])
        expect((await catalog.createUpload(newUpload(), 10)) !== undefined).toBe(isBegun);
      for (const isBegun of [true, false])
        expect((await catalog.createUpload(newUpload({ owner: 'bob' }), 1)) !== undefined).toBe(isBegun);
    });

    it('is kept for finals of partials whose length is not known, also far from it', async () => {
      const catalog = await running().reopen(everybody({ bytes: 2000 * MIB }));
      const partial = await addUpload(catalog, { kind: 'partial', size: null });
      await catalog.commitOffset(commitTo(partial, 10 * MIB));
      const final = (times: number) =>
        newUpload({ kind: 'final', size: null, partials: Array.from({ length: times }, () => partial) });
      await expect(catalog.createUpload(final(201))).rejects.toThrow(OverQuota);
      expect(await catalog.createUpload(final(200))).toBeDefined();
    });

    it('lets only so many finals be open whose size is not known, as what they join is summed up each time', async () => {
      const { catalog: free } = running();
      const of = (owner: string, size: number | null, partial: string) =>
        newUpload({ owner, kind: 'final', size, partials: [partial] });
      const bobs = await addUpload(free, { owner: 'bob', kind: 'partial', size: null });
      for (let index = 0; index <= MOST_UNKNOWN_FINALS; index++)
        expect(await free.createUpload(of('bob', null, bobs))).toBeDefined();

      const catalog = await running().reopen((owner) => ({ ...NO_QUOTA, files: owner === 'ann' ? 1000 : null }));
      const [unknown, known] = [
        await addUpload(catalog, { kind: 'partial', size: null }),
        await addUpload(catalog, { kind: 'partial', size: 10 }),
      ];
      const last = of('ann', null, unknown);
      for (let index = 1; index < MOST_UNKNOWN_FINALS; index++)
        expect(await catalog.createUpload(of('ann', null, unknown))).toBeDefined();
      expect(await catalog.createUpload(last)).toBeDefined();
      expect(await catalog.createUpload(of('ann', null, unknown))).toBeUndefined();
      expect(await catalog.listFinalsOf(unknown)).toHaveLength(MOST_UNKNOWN_FINALS);
      // Others cost nothing, and an owner without a quota has no sum.
      expect(await catalog.createUpload(of('ann', 10, known))).toBeDefined();
      expect(await catalog.createUpload(of('bob', null, bobs))).toBeDefined();
      await catalog.endUpload(last.id, null, 'terminated', null);
      expect(await catalog.createUpload(of('ann', null, unknown))).toBeDefined();
    });

    it('is kept for finals by what they join', async () => {
      const catalog = await running().reopen(everybody({ files: 1, bytes: 100 }));
      const partial = await addUpload(catalog, { kind: 'partial', size: 60 });
      const final = newUpload({ kind: 'final', size: 60, partials: [partial] });
      await expect(catalog.createUpload({ ...final, size: 120, partials: [partial, partial] })).rejects.toThrow(
        OverQuota,
      );
      expect(await catalog.listFinalsOf(partial)).toEqual([]);
      expect(await catalog.createUpload(final)).toBeDefined();
      await nextLease(catalog, partial);
      expect(await countBegun(catalog, [{ size: 0 }])).toBe(0);
    });
  });
}
