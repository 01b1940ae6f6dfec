/** Leases, nodes, claims and asks in the catalog's contract. */
import { describe, expect, it } from 'vitest';
import { NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import type { SharedCatalog } from './contract.ts';
import { aboutNode, addUpload, commitTo, md5Of, nextLease } from './fixtures.ts';

/** @param openShared - a catalog that several nodes share, by a clock that the test sets. */
export function describeLeases(openShared: () => Promise<SharedCatalog>): void {
  describe('leases', () => {
    it('go to one node at a time, each with a greater epoch', async () => {
      const { catalog } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const id = await addUpload(catalog, { holder: 'a' });
      const seen = await catalog.findUpload(id);
      expect(seen).toMatchObject({ epoch: 1, holder: 'a', phase: null });
      if (!seen) throw new Error('no upload');
      expect(await catalog.takeLease(seen, 'a')).toBe(2);
      // Read before it was taken, and after.
      expect(await catalog.takeLease(seen, 'b')).toBeUndefined();
      expect(await nextLease(catalog, id, 'b')).toBeUndefined();
      expect(await catalog.findUpload(id)).toMatchObject({ epoch: 2, holder: 'a', phase: 'receiving' });
      // The node's own, whose answer was lost.
      expect(await nextLease(catalog, id, 'a')).toBe(3);
      expect(await catalog.takeLease({ id: 'another', epoch: 1 }, 'a')).toBeUndefined();
    });

    it('are free once they are released, and say whether the upload is recovered', async () => {
      const { catalog } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
      expect(await catalog.markPublishing(id, 1)).toBe(true);
      expect(await catalog.findUpload(id)).toMatchObject({ phase: 'publishing' });
      expect(await nextLease(catalog, id, 'b')).toBeUndefined();
      await catalog.releaseLease(id, 1, { isRecovered: true });
      expect(await catalog.findUpload(id)).toMatchObject({ holder: 'a', phase: null });
      expect(await nextLease(catalog, id, 'b')).toBe(2);
      // By the one who had it before.
      await catalog.releaseLease(id, 1, { isRecovered: true });
      expect(await catalog.markPublishing(id, 1)).toBe(false);
      expect(await catalog.findUpload(id)).toMatchObject({ holder: 'b', phase: 'receiving' });
      await catalog.releaseLease(id, 2, { isRecovered: false });
      expect(await catalog.findUpload(id)).toMatchObject({ phase: 'unrecovered' });
      expect(await nextLease(catalog, id, 'a')).toBe(3);
    });

    it('end with the upload', async () => {
      const { catalog } = await openShared();
      await catalog.joinNode('a', aboutNode());
      const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
      await catalog.endUpload(id, 1, 'terminated', null);
      expect(await catalog.findUpload(id)).toMatchObject({ phase: null });
      expect(await nextLease(catalog, id, 'a')).toBeUndefined();
    });

    it('are lost by a node that is not seen for a while, or has left', async () => {
      const { catalog, clock } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
      await catalog.commitOffset(commitTo(id, 10));
      clock.nowMs += NODE_DEAD_AFTER_MS - 1;
      expect(await catalog.beatNode('b')).toBe(true);
      expect(await catalog.isNodeAlive('a')).toBe(true);
      expect(await nextLease(catalog, id, 'b')).toBeUndefined();
      expect(await catalog.listAbandoned(null, 10)).toEqual([]);
      clock.nowMs += 1;
      expect(await catalog.isNodeAlive('a')).toBe(false);
      expect(await catalog.listAbandoned(null, 10)).toMatchObject([{ id }]);
      // It woke up: it is told that it was dead.
      expect(await catalog.beatNode('a')).toBe(false);
      expect(await nextLease(catalog, id, 'b')).toBe(2);
      expect(await catalog.listAbandoned(null, 10)).toEqual([]);
      expect(await catalog.commitOffset(commitTo(id, 20))).toBeUndefined();
      await catalog.leaveNode('b');
      await catalog.joinNode('a', aboutNode());
      expect(await nextLease(catalog, id, 'a')).toBe(3);
    });

    it('that were released unrecovered are listed, by expiry, page by page', async () => {
      const { catalog } = await openShared();
      await catalog.joinNode('a', aboutNode());
      const ids: string[] = [];
      for (let count = 0; count < 5; count++) {
        const id = await addUpload(catalog, { holder: 'a', phase: 'receiving', lifeMs: count });
        await catalog.releaseLease(id, 1, { isRecovered: count === 2 });
        if (count !== 2) ids.push(id);
      }
      const first = await catalog.listAbandoned(null, 3);
      expect(first.map(({ id }) => id)).toEqual(ids.slice(0, 3));
      expect((await catalog.listAbandoned(first[2] ?? null, 3)).map(({ id }) => id)).toEqual(ids.slice(3));
    });

    it('that may be abandoned change the mark: by a node that dies, leaves or releases unrecovered, and by nothing else', async () => {
      const { catalog, clock } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const marks = [await catalog.abandonedMark()];
      const expectAnother = async (): Promise<void> => {
        const mark = await catalog.abandonedMark();
        expect(marks).not.toContain(mark);
        marks.push(mark);
        expect(await catalog.abandonedMark()).toBe(mark);
      };
      const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
      await catalog.markPublishing(id, 1);
      await catalog.releaseLease(id, 1, { isRecovered: true });
      clock.nowMs += NODE_DEAD_AFTER_MS - 1;
      for (const node of ['a', 'b']) await catalog.beatNode(node);
      expect(await catalog.abandonedMark()).toBe(marks[0]);

      for (const holder of ['a', 'b']) {
        const left = await addUpload(catalog, { holder, phase: 'receiving' });
        await catalog.releaseLease(left, 1, { isRecovered: false });
        await expectAnother();
      }
      await catalog.leaveNode('b');
      await expectAnother();
      clock.nowMs += NODE_DEAD_AFTER_MS;
      await expectAnother();
      // It comes back to life, and dies again.
      await catalog.joinNode('a', aboutNode());
      clock.nowMs += NODE_DEAD_AFTER_MS;
      await expectAnother();
      // Another one removes it, whose process is known to have ended.
      await catalog.joinNode('a', aboutNode());
      await catalog.leaveNode('a');
      await expectAnother();
    });

    it('note when bytes arrived, under the lease, and never an earlier time', async () => {
      const { catalog, clock } = await openShared();
      const md5 = md5Of('arrivals');
      const [id, other, taken] = [
        await addUpload(catalog, { holder: 'a', phase: 'receiving', md5, lifeMs: 1_000_000 }),
        await addUpload(catalog),
        await addUpload(catalog),
      ];
      const meant = { md5, owner: 'ann', size: null, sha256: null, minOffset: 1 };
      clock.nowMs += 10_000;
      expect(await catalog.findReceiving(meant)).toBeUndefined();
      await catalog.noteArrivals([
        { id, epoch: 1, idleMs: 5 },
        { id: other, epoch: 1, idleMs: 3_000 },
        { id: taken, epoch: 0, idleMs: 1 },
      ]);
      await catalog.noteArrivals([{ id, epoch: 1, idleMs: 2_007 }]);
      expect(await catalog.findUpload(id)).toMatchObject({ idleMs: 5 });
      expect(await catalog.findUpload(other)).toMatchObject({ idleMs: 3_000 });
      expect(await catalog.findUpload(taken)).toMatchObject({ idleMs: 10_000 });
      // It has none that is committed.
      expect(await catalog.findReceiving(meant)).toMatchObject({ id, offset: 0 });
      clock.nowMs += 1_000;
      // The row says nearly the same: it is not written.
      await catalog.noteArrivals([{ id, epoch: 1, idleMs: 0 }]);
      expect(await catalog.findUpload(id)).toMatchObject({ idleMs: 1_005 });
    });
  });

  describe('claims', () => {
    it('are of one node at a time, and for a while', async () => {
      const { catalog, clock } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      expect(await catalog.claim('work', 'a', 100)).toBe(true);
      // As after an answer that was lost.
      expect(await catalog.claim('work', 'a', 100)).toBe(true);
      expect(await catalog.claim('work', 'b', 100)).toBe(false);
      expect(await catalog.claim('other work', 'b', 100)).toBe(true);
      await catalog.unclaim('work', 'b');
      expect(await catalog.claim('work', 'b', 100)).toBe(false);
      clock.nowMs += 100;
      expect(await catalog.claim('work', 'b', 100)).toBe(true);
      await catalog.unclaim('work', 'b');
      expect(await catalog.claim('work', 'a', 100)).toBe(true);
      await catalog.forgetClaims();
      expect(await catalog.claim('work', 'b', 100)).toBe(false);
    });

    it('end with the node', async () => {
      const { catalog, clock } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      expect(await catalog.claim('work', 'a', 1_000_000)).toBe(true);
      expect(await catalog.claim('other work', 'a', 1_000_000)).toBe(true);
      clock.nowMs += NODE_DEAD_AFTER_MS - 1;
      expect(await catalog.claim('work', 'b', 100)).toBe(false);
      clock.nowMs += 1;
      expect(await catalog.claim('work', 'b', 100)).toBe(true);
      await catalog.leaveNode('a');
      expect(await catalog.claim('other work', 'b', 100)).toBe(true);
    });
  });

  describe('asks', () => {
    it('are taken once, by the node that is asked, while the lease is the one that is meant', async () => {
      const { catalog } = await openShared();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const [id, other] = [
        await addUpload(catalog, { holder: 'a', phase: 'receiving' }),
        await addUpload(catalog, { holder: 'a', phase: 'receiving' }),
      ];
      const asks = [
        { uploadId: id, what: 'release' as const, epoch: 1 },
        { uploadId: id, what: 'commit' as const, epoch: 1 },
        { uploadId: other, what: 'release' as const, epoch: 1 },
      ];
      expect(await catalog.takeAsks('a')).toEqual([]);
      for (const ask of [...asks, ...asks]) await catalog.ask('a', ask);
      expect(await catalog.takeAsks('b')).toEqual([]);
      await catalog.takeLease({ id: other, epoch: 1 }, 'a');
      const taken = await catalog.takeAsks('a');
      expect(taken).toHaveLength(2);
      expect(taken).toEqual(expect.arrayContaining(asks.slice(0, 2)));
      expect(await catalog.takeAsks('a')).toEqual([]);
      // The later lease counts.
      for (const epoch of [1, 2]) await catalog.ask('a', { uploadId: other, what: 'release', epoch });
      expect(await catalog.takeAsks('a')).toEqual([{ uploadId: other, what: 'release', epoch: 2 }]);
    });

    it('are of nodes that live, and end with them', async () => {
      const { catalog, clock } = await openShared();
      await catalog.joinNode('a', aboutNode());
      const ask = { uploadId: await addUpload(catalog, { holder: 'a' }), what: 'release' as const, epoch: 1 };
      await catalog.ask('a', ask);
      await catalog.leaveNode('a');
      await catalog.ask('a', ask);
      await catalog.joinNode('a', aboutNode());
      expect(await catalog.takeAsks('a')).toEqual([]);
      clock.nowMs += NODE_DEAD_AFTER_MS;
      await catalog.ask('a', ask);
      await catalog.joinNode('a', aboutNode());
      expect(await catalog.takeAsks('a')).toEqual([]);
    });
  });

  describe('nodes', () => {
    it('say what they are, and whether they live', async () => {
      const { catalog, clock } = await openShared();
      const about = aboutNode({ name: 'one', process: 'a process', version: '2.0.0' });
      expect(await catalog.joinNode('a', about)).toEqual([]);
      clock.nowMs += NODE_DEAD_AFTER_MS - 1;
      expect(await catalog.joinNode('b', aboutNode())).toEqual([]);
      const startedAt = clock.nowMs - NODE_DEAD_AFTER_MS + 1;
      const list = async () => (await catalog.listNodes()).toSorted((a, b) => a.startedAt - b.startedAt);
      expect(await list()).toEqual([
        { id: 'a', ...about, startedAt, seenAt: startedAt, isAlive: true },
        { id: 'b', ...aboutNode(), startedAt: clock.nowMs, seenAt: clock.nowMs, isAlive: true },
      ]);
      clock.nowMs += 1;
      expect(await list()).toMatchObject([{ isAlive: false }, { isAlive: true }]);
      expect(await catalog.joinNode('a', about)).toEqual([]);
      expect(await list()).toMatchObject([{ id: 'a', startedAt, seenAt: clock.nowMs, isAlive: true }, { id: 'b' }]);
    });

    it('of which one has to be alone come one after the other', async () => {
      const { catalog, clock } = await openShared();
      const alone = aboutNode({ isAlone: true });
      expect(await catalog.joinNode('a', alone)).toEqual([]);
      for (const about of [alone, aboutNode()]) {
        expect(await catalog.joinNode('b', about)).toMatchObject([{ id: 'a', isAlone: true }]);
      }
      expect(await catalog.joinNode('a', alone)).toEqual([]);
      clock.nowMs += NODE_DEAD_AFTER_MS;
      expect(await catalog.joinNode('b', aboutNode())).toEqual([]);
      expect(await catalog.joinNode('c', aboutNode())).toEqual([]);
      expect(await catalog.joinNode('a', alone)).toMatchObject([{ id: 'b' }, { id: 'c' }]);
      await catalog.leaveNode('b');
      await catalog.leaveNode('c');
      expect(await catalog.joinNode('a', alone)).toEqual([]);
    });
  });
}
