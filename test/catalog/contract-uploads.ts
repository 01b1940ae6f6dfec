/** Uploads: their life up to publication. */
import { describe, expect, it } from 'vitest';
import { CatalogError, NOTHING_NOTED, type ReceivingQuery } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { T0, addPublished, addUpload, commitTo, md5Of, newContent, newFile, newUpload, nextLease } from './fixtures.ts';

export function describeUploads(current: Current): void {
  describe('uploads', () => {
    it('are recorded as declared: receiving, at offset 0, epoch 1', async () => {
      const { catalog, clock } = current();
      const upload = newUpload({
        md5: md5Of('a'),
        sha1: 'b'.repeat(40),
        sha256: 'c'.repeat(64),
        filename: 'ä 名.txt',
      });
      const { lifeMs, ...declared } = upload;
      const times = { createdAt: T0, expiresAt: T0 + lifeMs };
      expect(await catalog.createUpload(upload)).toEqual(times);
      clock.nowMs += 10;
      expect(await catalog.findUpload(upload.id)).toEqual({
        ...declared,
        ...times,
        kind: 'file',
        onConflict: null,
        state: 'receiving',
        offset: 0,
        snapshot: null,
        epoch: 1,
        storeState: null,
        reason: null,
        fileId: null,
        expectedSize: null,
        linkId: null,
        leftMs: lifeMs - 10,
        idleMs: 10,
      });
      expect(await catalog.findUpload('another')).toBeUndefined();
    });

    it('are bounded in number for each owner, also when many begin at once', async () => {
      const { catalog } = current();
      const owner = 'crowded';
      const begin = async (fields = {}, most = 3): Promise<boolean> =>
        (await catalog.createUpload(newUpload({ owner, ...fields }), most)) !== undefined;
      const first = newUpload({ owner });
      expect(await begin(first)).toBe(true);
      const begun = await Promise.all([begin(), begin(), begin(), begin()]);
      expect(begun.filter((isBegun) => isBegun)).toHaveLength(2);
      expect(await begin({ owner: 'another' })).toBe(true);
      expect(await begin({}, undefined)).toBe(false);
      expect(await catalog.createUpload(newUpload({ owner }))).toBeDefined();
      expect(await catalog.endUpload(first.id, null, 'terminated', null)).toBe(true);
      expect(await begin()).toBe(false);
      expect(await begin({}, 4)).toBe(true);
    });

    it('keep what the store notes with a commit, also after their end, until it is forgotten', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog);
      await catalog.commitOffset(commitTo(id, 10, { storeState: 'a note' }));
      expect(await catalog.findUpload(id)).toMatchObject({ storeState: 'a note' });
      expect(await catalog.listUndiscarded('', 10)).toEqual([]);
      await catalog.forgetStoreState(id);
      expect(await catalog.findUpload(id)).toMatchObject({ storeState: 'a note' });
      await catalog.endUpload(id, 1, 'terminated', null);
      expect(await catalog.listUndiscarded('', 10)).toMatchObject([{ id, storeState: 'a note' }]);
      // What is left is not forgotten, however long ago the upload ended.
      await catalog.forgetEnded(-1, 10);
      expect(await catalog.listUndiscarded(id, 10)).toEqual([]);
      expect(await catalog.listUndiscarded('', 10)).toHaveLength(1);
      await catalog.forgetStoreState(id);
      expect(await catalog.listUndiscarded('', 10)).toEqual([]);

      const silent = await addUpload(catalog);
      await catalog.endUpload(silent, 1, 'expired', null);
      expect(await catalog.listUndiscarded('', 10)).toMatchObject([{ id: silent, storeState: NOTHING_NOTED }]);
      await catalog.forgetStoreState(silent);

      const other = await addUpload(catalog);
      await catalog.commitOffset(commitTo(other, 10, { storeState: 'a note' }));
      await catalog.commitOffset(commitTo(other, 20));
      expect(await catalog.findUpload(other)).toMatchObject({ storeState: null });
    });

    it('keep the largest safe size and offset exactly', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog, { size: Number.MAX_SAFE_INTEGER });
      expect(await catalog.commitOffset(commitTo(id, Number.MAX_SAFE_INTEGER - 1))).toBeDefined();
      expect(await catalog.findUpload(id)).toMatchObject({
        size: Number.MAX_SAFE_INTEGER,
        offset: Number.MAX_SAFE_INTEGER - 1,
      });
    });

    it('refuse an id that is taken', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog);
      const refusal = catalog.createUpload(newUpload({ id, owner: 'bob' }));
      await expect(refusal).rejects.toBeInstanceOf(CatalogError);
      await expect(refusal).rejects.toMatchObject({ code: 'failed', cause: expect.any(Error) });
      expect(await catalog.findUpload(id)).toMatchObject({ owner: 'ann' });
    });

    it('have an epoch that grows with every lease, also when the catalog is opened anew', async () => {
      const { catalog, reopen } = current();
      const id = await addUpload(catalog);
      expect(await nextLease(catalog, id)).toBe(2);
      expect(await nextLease(catalog, id)).toBe(3);
      expect(await nextLease(catalog, 'another')).toBeUndefined();
      expect(await nextLease(await reopen(), id)).toBe(4);
    });

    it('move forward under the lease, and keep what was committed', async () => {
      const { catalog, clock } = current();
      const id = await addUpload(catalog);
      clock.nowMs += 40;
      expect(await catalog.commitOffset(commitTo(id, 40, { idleMs: 5, storeState: 'a note' }))).toEqual({
        expiresAt: T0 + 1040,
      });
      expect(await catalog.findUpload(id)).toMatchObject({
        offset: 40,
        storeState: 'a note',
        expiresAt: T0 + 1040,
        leftMs: 1000,
        idleMs: 5,
      });
      // A commit without new bytes.
      clock.nowMs += 10;
      expect(await catalog.commitOffset(commitTo(id, 40, { idleMs: null, lifeMs: null }))).toEqual({
        expiresAt: T0 + 1040,
      });
      expect(await catalog.findUpload(id)).toMatchObject({ expiresAt: T0 + 1040, leftMs: 990, idleMs: 15 });
      const { snapshot } = (await catalog.findUpload(id)) ?? {};
      expect(Buffer.from(snapshot ?? []).toString()).toBe('state at 40');
    });

    it('never move back', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog);
      await catalog.commitOffset(commitTo(id, 40));
      expect(await catalog.commitOffset(commitTo(id, 39))).toBeUndefined();
      expect(await catalog.commitOffset(commitTo(id, 40, { storeState: 'another note' }))).toBeDefined();
      expect(await catalog.findUpload(id)).toMatchObject({ offset: 40, storeState: 'another note' });
    });

    it('never move past their length', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog, { size: 100 });
      await expect(catalog.commitOffset(commitTo(id, 101))).rejects.toMatchObject({ code: 'failed' });
      expect(await catalog.findUpload(id)).toMatchObject({ offset: 0 });
    });

    it('do not move for a lease that was lost', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog, { size: null });
      const part = { number: 1, start: 0, size: 40, etag: 'e', snapshot: Buffer.from('s') };
      await nextLease(catalog, id);
      expect(await catalog.commitOffset(commitTo(id, 40, { parts: [part] }))).toBeUndefined();
      expect(await catalog.declareLength(id, 1, 100)).toBe(false);
      expect(await catalog.endUpload(id, 1, 'terminated', null)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ offset: 0, size: null, state: 'receiving' });
      expect(await catalog.listParts(id)).toEqual([]);
    });

    it('record their parts with the offset, and a part sent again in the place of the first', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog);
      const part = (number: number, size: number, etag: string) => ({
        number,
        start: (number - 1) * 40,
        size,
        etag,
        snapshot: Buffer.from(etag),
      });
      await catalog.commitOffset(commitTo(id, 40, { parts: [part(1, 40, 'one')] }));
      await catalog.commitOffset(commitTo(id, 50, { parts: [part(2, 10, 'two')] }));
      await catalog.commitOffset(commitTo(id, 80, { parts: [part(2, 40, 'two again')] }));
      await catalog.commitOffset(commitTo(await addUpload(catalog), 40, { parts: [part(1, 40, 'other')] }));
      expect(await catalog.listParts(id)).toEqual([part(1, 40, 'one'), part(2, 40, 'two again')]);
    });

    it('take a deferred length once, and none below their offset', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog, { size: null });
      await catalog.commitOffset(commitTo(id, 40));
      expect(await catalog.declareLength(id, 1, 39)).toBe(false);
      expect(await catalog.declareLength(id, 1, 40)).toBe(true);
      expect(await catalog.declareLength(id, 1, 41)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ size: 40 });
      // Taken back under the same lease, and by no other.
      expect(await catalog.withdrawLength(id, 2)).toBe(false);
      expect(await catalog.withdrawLength(id, 1)).toBe(true);
      expect(await catalog.findUpload(id)).toMatchObject({ size: null });
      expect(await catalog.declareLength(id, 1, 50)).toBe(true);
    });

    it('expect a length, in place of a declared one, under the lease', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog, { size: 100 });
      await catalog.commitOffset(commitTo(id, 40));
      expect(await catalog.expectLength(id, 2, 100)).toBe(false);
      expect(await catalog.expectLength(id, 1, 39)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ size: 100, expectedSize: null });
      expect(await catalog.expectLength(id, 1, 100)).toBe(true);
      expect(await catalog.findUpload(id)).toMatchObject({ size: null, expectedSize: 100 });
      expect(await catalog.expectLength(id, 1, null)).toBe(true);
      expect(await catalog.findUpload(id)).toMatchObject({ size: null, expectedSize: null });
      expect(await catalog.declareLength(id, 1, 40)).toBe(true);
      // It has all its bytes by the length that it declared: it is being published.
      expect(await catalog.expectLength(id, 1, 40)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ size: 40, expectedSize: null });
    });

    it('end once, whichever lease is held, and forget their parts', async () => {
      const { catalog } = current();
      const id = await addUpload(catalog);
      const part = { number: 1, start: 0, size: 40, etag: 'e', snapshot: Buffer.from('s') };
      await catalog.commitOffset(commitTo(id, 40, { parts: [part] }));
      await nextLease(catalog, id);
      expect(await catalog.endUpload(id, null, 'rejected', 'digest_mismatch')).toBe(true);
      expect(await catalog.endUpload(id, null, 'expired', null)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ state: 'rejected', reason: 'digest_mismatch' });
      expect(await catalog.listParts(id)).toEqual([]);
      expect(await catalog.commitOffset(commitTo(id, 50, { epoch: 2 }))).toBeUndefined();
      expect(await catalog.declareLength(id, 2, 100)).toBe(false);
    });

    it('are found by declared MD5 while receiving: the matching upload whose last byte is most recent', async () => {
      const { catalog, clock } = current();
      const md5 = md5Of('shared');
      const early = await addUpload(catalog, { md5, size: 100 });
      const late = await addUpload(catalog, { md5, size: 100 });
      const strange = await addUpload(catalog, { md5, size: 100, owner: 'bob' });
      const ended = await addUpload(catalog, { md5, size: 100 });
      await addUpload(catalog, { md5: md5Of('other'), size: 100 });
      clock.nowMs += 10;
      await catalog.commitOffset(commitTo(early, 10));
      clock.nowMs += 10;
      await catalog.commitOffset(commitTo(late, 20, { lifeMs: 800 }));
      clock.nowMs += 10;
      await catalog.commitOffset(commitTo(strange, 30));
      await catalog.endUpload(ended, 1, 'terminated', null);
      const found = async (query: Partial<ReceivingQuery>) =>
        (await catalog.findReceiving({ md5, owner: 'ann', size: null, sha256: null, minOffset: 1, ...query }))?.id;
      expect(await found({})).toBe(late);
      expect(await found({ owner: 'bob' })).toBe(strange);
      expect(await found({ size: 100 })).toBe(late);
      expect(await found({ size: 101 })).toBeUndefined();
      const proven = await addUpload(catalog, { md5, size: 100, sha256: 'a'.repeat(64) });
      clock.nowMs += 10;
      const deferred = await addUpload(catalog, { md5, size: null });
      expect(await found({ minOffset: 0, sha256: 'a'.repeat(64) })).toBe(proven);
      expect(await found({ minOffset: 0, sha256: 'b'.repeat(64) })).toBeUndefined();
      expect(await found({ sha256: 'a'.repeat(64) })).toBeUndefined();
      // One that was begun later and has nothing is no better.
      expect(await found({ minOffset: 0 })).toBe(deferred);
      expect(await found({ minOffset: 0, size: 101 })).toBe(deferred);
      expect(await found({ minOffset: 0, owner: 'carl' })).toBeUndefined();
      clock.nowMs = T0 + 820;
      expect(await found({})).toBe(early);
    });

    it('are listed once their time is up, the oldest first', async () => {
      const { catalog, clock } = current();
      const second = await addUpload(catalog, { lifeMs: 20 });
      const first = await addUpload(catalog, { lifeMs: 10 });
      await addUpload(catalog, { lifeMs: 31 });
      const ended = await addUpload(catalog, { lifeMs: 0 });
      await catalog.endUpload(ended, null, 'expired', null);
      clock.nowMs += 30;
      const [oldest, ...others] = await catalog.listExpired(null, 10);
      expect([oldest, ...others].map((upload) => upload?.id)).toEqual([first, second]);
      expect(await catalog.listExpired(null, 1)).toEqual([oldest]);
      expect(await catalog.listExpired(oldest ?? null, 10)).toEqual(others);
    });

    it('are listed as unpublished with all their bytes, an empty one too', async () => {
      const { catalog, clock } = current();
      const whole = await addUpload(catalog, { size: 40 });
      clock.nowMs += 1;
      const empty = await addUpload(catalog, { size: 0 });
      const half = await addUpload(catalog, { size: 40 });
      await addUpload(catalog, { size: null });
      await catalog.commitOffset(commitTo(whole, 40));
      await catalog.commitOffset(commitTo(half, 20));
      await addPublished(catalog, newContent('published'));
      const [first, ...others] = await catalog.listUnpublished(null, 10);
      expect([first, ...others].map((upload) => upload?.id)).toEqual([whole, empty]);
      expect(await catalog.listUnpublished(null, 1)).toEqual([first]);
      expect(await catalog.listUnpublished(first ?? null, 10)).toEqual(others);
    });

    it('are filtered by whether they are receiving, however many are asked for', async () => {
      const { catalog } = current();
      const receiving = await Promise.all(Array.from({ length: 250 }, () => addUpload(catalog)));
      const ended = await addUpload(catalog);
      await catalog.endUpload(ended, 1, 'terminated', null);
      expect(await catalog.filterReceiving([...receiving, ended, 'another'])).toEqual(new Set(receiving));
      expect(await catalog.filterReceiving([])).toEqual(new Set());
    });

    it('are forgotten some time after they ended; receiving and complete ones stay', async () => {
      const { catalog, clock } = current();
      const [old, recent, receiving, complete] = [
        await addUpload(catalog),
        await addUpload(catalog),
        await addUpload(catalog),
        await addUpload(catalog),
      ];
      await catalog.endUpload(old, 1, 'expired', null);
      clock.nowMs += 10;
      await catalog.endUpload(recent, 1, 'rejected', 'digest_mismatch');
      await catalog.publish({ uploadId: complete, epoch: 1, content: newContent('c'), file: newFile() });
      // Until the store is done with them.
      expect(await catalog.forgetEnded(0, 10)).toBe(0);
      for (const id of [old, recent]) await catalog.forgetStoreState(id);
      expect(await catalog.forgetEnded(0, 10)).toBe(1);
      expect(await catalog.findUpload(old)).toBeUndefined();
      for (const id of [recent, receiving, complete]) expect(await catalog.findUpload(id)).toBeDefined();
    });
  });
}
