/** Partials, and the finals that join them. */
import { describe, expect, it } from 'vitest';
import { CatalogError, type UploadKind } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { addUpload, commitTo, md5Of, newContent, newFile, newUpload, T0 } from './fixtures.ts';

export function describeFinals(current: Current): void {
  describe('partials and finals', () => {
    const addPartial = (fields = {}) => addUpload(current().catalog, { kind: 'partial', ...fields });
    const addFinal = (partials: string[], fields = {}) =>
      addUpload(current().catalog, { kind: 'final', partials, ...fields });
    const complete = (id: string) => current().catalog.commitOffset(commitTo(id, 100, { lifeMs: null }));
    const ids = (uploads: { id: string }[]) => uploads.map(({ id }) => id);

    it('a final has its partials in order, also twice; all are known by their kinds', async () => {
      const { catalog } = current();
      const [a, b] = [await addPartial(), await addPartial()];
      const final = await addFinal([b, a, b]);
      expect(ids(await catalog.listPartials(final))).toEqual([b, a, b]);
      const kinds = new Map((await catalog.findUploads([a, final, 'another'])).map(({ id, kind }) => [id, kind]));
      expect(kinds).toEqual(
        new Map<string, UploadKind>([
          [a, 'partial'],
          [final, 'final'],
        ]),
      );
      expect(ids(await catalog.listFinalsOf(b))).toEqual([final]);
      expect(await catalog.listFinalsOf(final)).toEqual([]);
    });

    it('hundreds of partials keep their order', async () => {
      const { catalog } = current();
      const [a, b] = [await addPartial(), await addPartial()];
      const list = Array.from({ length: 512 }, (_, index) => (index % 3 ? a : b));
      expect(ids(await catalog.listPartials(await addFinal(list)))).toEqual(list);
      expect(await catalog.findUploads(Array.from({ length: 250 }, (_, index) => `x${index}`))).toEqual([]);
    });

    it('a final beyond the bound on open uploads, or of a partial that is not there, leaves nothing', async () => {
      const { catalog } = current();
      const a = await addPartial({ owner: 'crowded' });
      const refused = newUpload({ owner: 'crowded', kind: 'final', partials: [a] });
      expect(await catalog.createUpload(refused, 1)).toBeUndefined();
      expect(await catalog.listPartials(refused.id)).toEqual([]);
      const lost = newUpload({ kind: 'final', partials: [a, 'another'] });
      await expect(catalog.createUpload(lost)).rejects.toBeInstanceOf(CatalogError);
      expect(await catalog.findUpload(lost.id)).toBeUndefined();
    });

    it('finals are due once all partials are whole, or one has ended', async () => {
      const { catalog, clock } = current();
      const [a, b, c] = [await addPartial(), await addPartial(), await addPartial({ size: null })];
      const first = await addFinal([a, b]);
      clock.nowMs += 10;
      const second = await addFinal([b, c]);
      expect(await catalog.listFinalsDue(null, 10)).toEqual([]);
      await complete(a);
      expect(await catalog.listFinalsDue(null, 10)).toEqual([]);
      await complete(b);
      expect(ids(await catalog.listFinalsDue(null, 10))).toEqual([first]);
      await catalog.endUpload(c, null, 'terminated', null);
      const due = await catalog.listFinalsDue(null, 10);
      expect(ids(due)).toEqual([first, second]);
      expect(ids(await catalog.listFinalsDue(due[0] ?? null, 10))).toEqual([second]);
    });

    it('a partial with all its bytes is not to be published, cannot be, and nobody is told to resume it', async () => {
      const { catalog } = current();
      const md5 = md5Of('a');
      const partial = await addPartial({ md5 });
      const final = await addFinal([partial], { md5 });
      await complete(partial);
      expect(await catalog.listUnpublished(null, 10)).toEqual([]);
      const query = { md5, owner: 'ann', size: null, sha256: null, minOffset: 0 };
      expect(await catalog.findReceiving(query)).toBeUndefined();
      const publication = { uploadId: partial, epoch: 1, content: newContent('a'), file: newFile() };
      await expect(catalog.publish(publication)).rejects.toBeInstanceOf(CatalogError);
      await catalog.commitOffset(commitTo(final, 100));
      expect(ids(await catalog.listUnpublished(null, 10))).toEqual([final]);
    });

    it('an ended final releases its partials, which live a while if no other needs them', async () => {
      const { catalog } = current();
      const [a, b] = [await addPartial({ lifeMs: 5000 }), await addPartial({ lifeMs: 5000 })];
      const first = await addFinal([a, b, a]);
      const second = await addFinal([b]);
      await catalog.endUpload(first, null, 'rejected', 'digest_mismatch');
      expect(ids(await catalog.listFinalsToRelease(10))).toEqual([first]);
      await catalog.releasePartials(first, 300);
      expect(await catalog.listFinalsToRelease(10)).toEqual([]);
      expect(await catalog.listPartials(first)).toEqual([]);
      expect(await catalog.findUpload(a)).toMatchObject({ expiresAt: T0 + 300 });
      expect(await catalog.findUpload(b)).toMatchObject({ expiresAt: T0 + 5000 });
      await catalog.endUpload(second, null, 'terminated', null);
      await catalog.releasePartials(second, null);
      expect(await catalog.findUpload(b)).toMatchObject({ expiresAt: T0 + 5000 });
      await catalog.releasePartials(second, 10_000);
      expect(await catalog.findUpload(b)).toMatchObject({ expiresAt: T0 + 5000 });
    });

    it('partials and a final that waits for them live as long as the last of them', async () => {
      const { catalog, clock } = current();
      const [a, b, c] = [await addPartial(), await addPartial({ lifeMs: 5000 }), await addPartial()];
      const final = await addFinal([a, b]);
      clock.nowMs += 2000;
      expect(await catalog.keepWaiting(c)).toBe(false);
      expect(await catalog.keepWaiting(a)).toBe(true);
      expect(await catalog.keepWaiting(final)).toBe(true);
      for (const id of [a, final]) expect(await catalog.findUpload(id)).toMatchObject({ expiresAt: T0 + 5000 });
      expect(await catalog.findUpload(c)).toMatchObject({ expiresAt: T0 + 1000 });
      clock.nowMs += 4000;
      expect(await catalog.keepWaiting(a)).toBe(false);
    });

    it('an ended partial is remembered until its finals know of it', async () => {
      const { catalog } = current();
      const partial = await addPartial();
      const final = await addFinal([partial]);
      await catalog.endUpload(partial, null, 'terminated', null);
      await catalog.forgetStoreState(partial);
      expect(await catalog.forgetEnded(-1, 10)).toBe(0);
      await catalog.endUpload(final, null, 'terminated', null);
      await catalog.releasePartials(final, null);
      expect(await catalog.forgetEnded(-1, 10)).toBe(1);
      expect(await catalog.findUpload(partial)).toBeUndefined();
    });
  });
}
