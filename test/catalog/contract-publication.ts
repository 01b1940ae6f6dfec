/** Contents, publication and removals. */
import { describe, expect, it } from 'vitest';
import type { NewFile, PublishOutcome } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import {
  aboutNode,
  T0,
  addPublished,
  addUpload,
  commitTo,
  md5Of,
  newContent,
  newFile,
  newUpload,
  nextLease,
  removalKeys,
  giveFile,
} from './fixtures.ts';

export function describePublication(current: Current): void {
  describe('publication', () => {
    it('makes content and a file of an upload, in one step', async () => {
      const { catalog } = current();
      const uploadId = await addUpload(catalog, { size: 100 });
      const part = { number: 1, start: 0, size: 100, etag: 'e', snapshot: Buffer.from('s') };
      await catalog.commitOffset(commitTo(uploadId, 100, { parts: [part] }));
      const content = newContent('c', { sha1: 'd'.repeat(40) });
      const file = newFile();
      const outcome = await catalog.publish({ uploadId, epoch: 1, content, file });

      const expected = { ...file, uploadedAt: T0, content: { ...content, id: expect.any(Number), publishedAt: T0 } };
      expect(outcome).toEqual({ kind: 'published', file: expected, removed: null });
      expect(await catalog.findFile(file.id, 'ann')).toEqual(expected);
      expect(await catalog.findContents({ md5: content.md5 })).toEqual([expected.content]);
      expect(await catalog.findUpload(uploadId)).toMatchObject({
        state: 'complete',
        offset: 100,
        fileId: file.id,
        snapshot: null,
      });
      expect(await catalog.listParts(uploadId)).toEqual([]);
      expect(await catalog.listUnpublished(null, 10)).toEqual([]);
    });

    it('records a complete upload, its content and its file in one step', async () => {
      const { catalog } = current();
      const { kind: _kind, phase: _phase, ...upload } = newUpload();
      const content = newContent('c', { sha1: 'd'.repeat(40) });
      const file = newFile();
      const before = await catalog.latestEvent('ann');
      const outcome = await catalog.publishAtOnce({ upload: { ...upload, size: 100 }, content, file });

      const expected = { ...file, uploadedAt: T0, content: { ...content, id: expect.any(Number), publishedAt: T0 } };
      expect(outcome).toEqual({ kind: 'published', file: expected, removed: null });
      expect(await catalog.findFile(file.id, 'ann')).toEqual(expected);
      const other = newUpload();
      await catalog.createUpload(other);
      await catalog.publish({ uploadId: other.id, epoch: 1, content: newContent('other'), file: newFile() });
      const same = await catalog.findUpload(other.id);
      const { id, fileId } = { id: upload.id, fileId: file.id };
      expect(await catalog.findUpload(upload.id)).toEqual({ ...same, id, fileId });
      expect(await catalog.latestEvent('ann')).toBe(before + 2);
    });

    it('records nothing of it where the content is here, or the owner has too many unfinished uploads', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      await addUpload(catalog);
      const publishAtOnce = async (text: string, mostOpen: number): Promise<unknown> => {
        const upload = { ...newUpload(), size: 100 };
        const { id } = upload;
        const content = newContent(text);
        const outcome = await catalog.publishAtOnce({ upload, content, file: newFile() }, mostOpen);
        if (outcome.kind !== 'published') {
          expect(await catalog.findUpload(id)).toBeUndefined();
          expect(await catalog.filterKeys([content.key])).toEqual(new Set(text === 'c' ? [content.key] : []));
        }
        return outcome.kind;
      };
      expect(await publishAtOnce('c', 10)).toBe('conflict');
      expect(await publishAtOnce('d', 1)).toBe('too_many');
      const { files } = await catalog.listFiles({ owner: 'ann', limit: 10, sort: 'name', descending: false });
      expect(files).toEqual([first]);
      expect(await publishAtOnce('d', 2)).toBe('published');
    });

    it('keeps what the store keeps of the upload, but where that does not matter any more', async () => {
      const { catalog } = current();
      for (const forgetsStoreState of [false, true]) {
        const uploadId = await addUpload(catalog);
        await catalog.commitOffset(commitTo(uploadId, 10, { storeState: 'a note' }));
        const content = newContent(`noted ${forgetsStoreState}`);
        const publication = { uploadId, epoch: 1, at: T0, content, file: newFile(), forgetsStoreState };
        expect(await catalog.publish(publication)).toMatchObject({ kind: 'published' });
        const found = await catalog.findUpload(uploadId);
        expect(found).toMatchObject({ state: 'complete', storeState: forgetsStoreState ? null : 'a note' });
      }
    });

    it('happens once, and not for a lease that was lost', async () => {
      const { catalog } = current();
      const uploadId = await addUpload(catalog);
      const publication = { uploadId, epoch: 1, content: newContent('c'), file: newFile() };
      await nextLease(catalog, uploadId);
      expect(await catalog.publish(publication)).toEqual({ kind: 'lost' });
      expect(await catalog.findContents({ md5: md5Of('c') })).toEqual([]);

      const won = { ...publication, epoch: 2 };
      expect(await catalog.publish(won)).toMatchObject({ kind: 'published' });
      expect(await catalog.publish({ ...won, file: newFile() })).toEqual({ kind: 'lost' });
      expect(await catalog.commitOffset(commitTo(uploadId, 100, { epoch: 2 }))).toBeUndefined();
      expect(
        (await catalog.listFiles({ owner: 'ann', limit: 10, sort: 'name', descending: false })).files,
      ).toHaveLength(1);
    });

    it('is lost for an upload that ended, or that there never was', async () => {
      const { catalog } = current();
      const uploadId = await addUpload(catalog);
      await catalog.endUpload(uploadId, 1, 'rejected', 'digest_mismatch');
      const publication = { epoch: 1, content: newContent('c'), file: newFile() };
      expect(await catalog.publish({ uploadId, ...publication })).toEqual({ kind: 'lost' });
      expect(await catalog.publish({ uploadId: 'another', ...publication })).toEqual({ kind: 'lost' });
    });

    it('adds no second file of the same name, owner and content', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'), { name: 'same.txt' });
      const publishAgain = async (file: Partial<NewFile>): Promise<{ uploadId: string; outcome: PublishOutcome }> => {
        const entry = newFile(file);
        const uploadId = await addUpload(catalog, { owner: entry.owner, size: null });
        const content = { id: first.content.id };
        const outcome = await catalog.publish({ uploadId, epoch: 1, content, file: entry });
        return { uploadId, outcome };
      };
      const { uploadId, outcome } = await publishAgain({ name: 'same.txt' });
      expect(outcome).toEqual({ kind: 'published', file: first, removed: null });
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'complete', fileId: first.id });
      for (const other of [{ name: 'other.txt' }, { name: 'same.txt', owner: 'bob' }]) {
        expect((await publishAgain(other)).outcome).toMatchObject({ kind: 'published', file: other });
      }
      const { files } = await catalog.listFiles({ owner: 'ann', limit: 10, sort: 'name', descending: false });
      expect(files.map(({ name }) => name)).toEqual(['other.txt', 'same.txt']);
    });

    it('joins an upload to content that is here', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      const second = await addPublished(catalog, { id: first.content.id }, { owner: 'bob', name: 'b.txt' });
      expect(second).toMatchObject({ owner: 'bob', name: 'b.txt', content: first.content });
      expect(await catalog.findContents({ md5: md5Of('c') })).toHaveLength(1);
    });

    it('moves content whose bytes are healed to another key, and notes the old one', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      const other = await addPublished(catalog, newContent('other'));
      const uploadId = await addUpload(catalog);
      const heal = (key: string) =>
        catalog.publish({ uploadId, epoch: 1, content: { id: first.content.id, key }, file: newFile() });
      expect(await heal(other.content.key)).toEqual({ kind: 'conflict' });
      expect(await catalog.findFile(first.id, 'ann')).toEqual(first);
      expect(await catalog.listRemovals(0, 10)).toEqual([]);

      const moved = { ...first.content, key: 'healed' };
      expect(await heal('healed')).toMatchObject({ kind: 'published', file: { content: moved } });
      expect(await catalog.findContents({ md5: md5Of('c') })).toEqual([moved]);
      expect(await catalog.findFile(first.id, 'ann')).toEqual({ ...first, content: moved });
      expect(await removalKeys(catalog, 10)).toEqual([first.content.key]);
      const again = await addUpload(catalog);
      const same = { id: first.content.id, key: 'healed' };
      expect(await catalog.publish({ uploadId: again, epoch: 1, content: same, file: newFile() })).toMatchObject({
        kind: 'published',
      });
      expect(await removalKeys(catalog, 10)).toEqual([first.content.key]);
    });

    it('outlives its upload, which is forgotten, or remembered as long as the store has a note', async () => {
      const { catalog } = current();
      const plain = await addUpload(catalog);
      const noted = await addUpload(catalog);
      await catalog.commitOffset(commitTo(noted, 10, { storeState: 'a note' }));
      for (const [uploadId, name] of [
        [plain, 'plain'],
        [noted, 'noted'],
      ] as const) {
        expect(await catalog.forgetComplete(uploadId, 'ann')).toBe(false);
        const content = newContent(name);
        const outcome = await catalog.publish({ uploadId, epoch: 1, content, file: newFile({ name }) });
        const file = outcome.kind === 'published' ? outcome.file : undefined;
        expect(await catalog.forgetComplete(uploadId, 'bob')).toBe(false);
        expect(await catalog.forgetComplete(uploadId, 'ann')).toBe(true);
        expect(await catalog.forgetComplete(uploadId, 'ann')).toBe(false);
        expect(await catalog.findFile(file?.id ?? '', 'ann')).toMatchObject({ name });
      }
      expect(await catalog.findUpload(plain)).toBeUndefined();
      expect(await catalog.findUpload(noted)).toMatchObject({
        state: 'terminated',
        storeState: 'a note',
        fileId: null,
      });
    });

    it('is a conflict when the content to join is gone, even if another one came since', async () => {
      const { catalog } = current();
      const gone = await addPublished(catalog, newContent('gone'));
      await catalog.deleteFile(gone.id, 'ann');
      await addPublished(catalog, newContent('new'));
      const uploadId = await addUpload(catalog);
      const content = { id: gone.content.id };
      expect(await catalog.publish({ uploadId, epoch: 1, content, file: newFile() })).toEqual({
        kind: 'conflict',
      });
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving', fileId: null });
    });

    it('is a conflict when the variant or the key is taken; another variant is kept apart', async () => {
      const { catalog } = current();
      const taken = newContent('c');
      await addPublished(catalog, taken);
      const uploadId = await addUpload(catalog);
      const publish = (content: typeof taken) => catalog.publish({ uploadId, epoch: 1, content, file: newFile() });
      expect(await publish({ ...taken, key: 'elsewhere' })).toEqual({ kind: 'conflict' });
      expect(await publish({ ...newContent('other'), key: taken.key })).toEqual({ kind: 'conflict' });
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving' });

      expect(await publish({ ...taken, variant: 1, key: 'elsewhere' })).toMatchObject({ kind: 'published' });
      const variants = await catalog.findContents({ md5: taken.md5 });
      expect(variants.map((content) => [content.variant, content.key])).toEqual([
        [0, taken.key],
        [1, 'elsewhere'],
      ]);
    });

    it('leaves one content when two uploads of the same bytes finish together', async () => {
      const { catalog } = current();
      const uploads = await Promise.all(Array.from({ length: 8 }, () => addUpload(catalog)));
      const outcomes = await Promise.all(
        uploads.map((uploadId) =>
          catalog.publish({ uploadId, epoch: 1, content: newContent('same'), file: newFile() }),
        ),
      );
      expect(outcomes.map((outcome) => outcome.kind).sort()).toEqual([
        ...Array.from({ length: 7 }, () => 'conflict'),
        'published',
      ]);
      expect(await catalog.findContents({ md5: md5Of('same') })).toHaveLength(1);
    });

    it('refuses content of another size than was declared, and changes nothing', async () => {
      const { catalog } = current();
      const uploadId = await addUpload(catalog, { size: 99 });
      const refusal = catalog.publish({ uploadId, epoch: 1, content: newContent('c'), file: newFile() });
      await expect(refusal).rejects.toMatchObject({ name: 'CatalogError', code: 'failed' });
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving', offset: 0 });
      expect(await catalog.findContents({ md5: md5Of('c') })).toEqual([]);
    });

    it('changes nothing when its last step fails', async () => {
      const { catalog } = current();
      const { id } = await addPublished(catalog, newContent('first'));
      const uploadId = await addUpload(catalog);
      const content = newContent('second');
      const refusal = catalog.publish({ uploadId, epoch: 1, content, file: newFile({ id }) });
      await expect(refusal).rejects.toMatchObject({ name: 'CatalogError', code: 'failed' });
      expect(await catalog.findContents({ md5: content.md5 })).toEqual([]);
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving' });
      // And whatever comes after it is a change of its own.
      expect(await catalog.publish({ uploadId, epoch: 1, content, file: newFile() })).toMatchObject({
        kind: 'published',
      });
    });

    it('takes its key out of the removals', async () => {
      const { catalog } = current();
      const { id } = await addPublished(catalog, newContent('c'));
      const removed = await catalog.deleteFile(id, 'ann');
      expect(await removalKeys(catalog, 10)).toEqual([removed?.removedKey]);
      await addPublished(catalog, newContent('c'));
      expect(await catalog.listRemovals(0, 10)).toEqual([]);
    });

    it('survives the catalog being closed and opened again', async () => {
      const { catalog, reopen } = current();
      const file = await addPublished(catalog, newContent('c'));
      await catalog.durable();
      expect(await (await reopen()).findFile(file.id, 'ann')).toEqual(file);
    });
  });

  describe('contents', () => {
    it('are found by each of their digests', async () => {
      const { catalog } = current();
      const digests = { sha1: '1'.repeat(40), sha256: '2'.repeat(64) };
      const { content } = await addPublished(catalog, newContent('c', digests));
      await addPublished(catalog, newContent('other'));
      expect(await catalog.findContents({ md5: content.md5 })).toEqual([content]);
      expect(await catalog.findContents({ sha1: digests.sha1 })).toEqual([content]);
      expect(await catalog.findContents({ sha256: digests.sha256 })).toEqual([content]);
      expect(await catalog.findContents({ sha256: '3'.repeat(64) })).toEqual([]);
    });

    it('get digests added, one at a time, and never changed', async () => {
      const { catalog } = current();
      const { content } = await addPublished(catalog, newContent('c'));
      await catalog.addDigests(content.id, { sha256: '2'.repeat(64) });
      await catalog.addDigests(content.id, { sha1: '1'.repeat(40), sha256: '3'.repeat(64) });
      expect(await catalog.findContents({ md5: content.md5 })).toEqual([
        { ...content, sha1: '1'.repeat(40), sha256: '2'.repeat(64) },
      ]);
    });

    it('without SHA-1 are listed to their owners, the newest first, among the newest of all', async () => {
      const { catalog } = current();
      const sha1 = '1'.repeat(40);
      const { content: first } = await addPublished(catalog, newContent('first'));
      const { content: others } = await addPublished(catalog, newContent('others'), { owner: 'bob' });
      await addPublished(catalog, newContent('known', { sha1 }));
      const { content: second } = await addPublished(catalog, newContent('second'));
      const listed = async (owner: string, among: number): Promise<number[]> =>
        (await catalog.listOwnWithoutSha1(owner, among)).map(({ id }) => id);
      expect(await catalog.listOwnWithoutSha1('ann', 10)).toEqual([second, first]);
      expect([await listed('ann', 2), await listed('bob', 1), await listed('cid', 10)]).toEqual([[second.id], [], []]);
      await giveFile(catalog, others.id, { owner: 'ann' });
      expect(await listed('ann', 10)).toEqual([second.id, others.id, first.id]);
      await catalog.addDigests(second.id, { sha1 });
      expect(await listed('ann', 10)).toEqual([others.id, first.id]);
    });

    it('have a proof from their publication on, or get one later, which a newer one replaces', async () => {
      const { catalog, reopen } = current();
      const { content } = await addPublished(catalog, newContent('c', { proof: 'made along' }));
      const { content: later } = await addPublished(catalog, newContent('later'));
      expect(await catalog.proofOf(content.id)).toEqual({ proof: 'made along', seal: null });
      expect(await catalog.proofOf(later.id)).toEqual({ proof: null, seal: null });
      await catalog.noteProof(later.id, { seal: 'seen' });
      await catalog.noteProof(later.id, { proof: 'by an older key' });
      await catalog.noteProof(later.id, { proof: 'by a newer key' });
      expect(await catalog.proofOf(later.id)).toEqual({ proof: 'by a newer key', seal: 'seen' });
      // Joining a content leaves its proof.
      await addPublished(catalog, { id: content.id }, { owner: 'bob' });
      await addPublished(catalog, { id: content.id, key: 'elsewhere' }, { owner: 'bob' });
      expect(await (await reopen()).proofOf(content.id)).toEqual({ proof: 'made along', seal: null });
      expect(await (await reopen()).proofOf(content.id + 1000)).toBeUndefined();
    });

    it('have a secret of their proofs, the same for all who ask, which stays', async () => {
      const { catalog, reopen } = current();
      const told = await Promise.all(['first', 'second'].map((fresh) => catalog.proofSecret(fresh)));
      expect(new Set(told).size).toBe(1);
      expect(['first', 'second']).toContain(told[0]);
      expect(await (await reopen()).proofSecret('third')).toBe(told[0]);
    });

    it('know their owners', async () => {
      const { catalog } = current();
      const { content } = await addPublished(catalog, newContent('c'));
      expect(await catalog.ownsContent('ann', content.id)).toBe(true);
      expect(await catalog.ownsContent('bob', content.id)).toBe(false);
      expect(await catalog.ownsContent('ann', content.id + 1)).toBe(false);
    });

    it('are known by their keys', async () => {
      const { catalog } = current();
      const { content } = await addPublished(catalog, newContent('k'));
      const removed = await addPublished(catalog, newContent('l'));
      await catalog.deleteFile(removed.id, 'ann');
      const known = await catalog.filterKeys([content.key, removed.content.key, 'never']);
      expect([...known]).toEqual([content.key]);
    });

    it('leave removals, in order, until their bytes are gone', async () => {
      const { catalog } = current();
      const keys: string[] = [];
      for (const text of ['z', 'a', 'm']) {
        const { id, content } = await addPublished(catalog, newContent(text));
        await catalog.deleteFile(id, 'ann');
        keys.push(content.key);
      }
      expect(await removalKeys(catalog, 2)).toEqual(keys.slice(0, 2));
      await catalog.removalDone(keys[0] ?? '');
      expect(await removalKeys(catalog, 10)).toEqual(keys.slice(1));
    });

    it('have no key whose bytes a node removes', async () => {
      const { catalog } = current();
      for (const node of ['a', 'b']) await catalog.joinNode(node, aboutNode());
      const content = newContent('k');
      const { id } = await addPublished(catalog, content);
      expect(await catalog.claimRemoval(content.key, 'a', 1_000)).toBe(false);
      await catalog.deleteFile(id, 'ann');
      expect(await catalog.claimRemoval(content.key, 'a', 1_000)).toBe(true);
      expect(await catalog.claimRemoval(content.key, 'b', 1_000)).toBe(false);
      // The answer was lost.
      expect(await catalog.claimRemoval(content.key, 'a', 1_000)).toBe(true);

      const healed = await addPublished(catalog, newContent('h'));
      const uploadId = await addUpload(catalog);
      for (const under of [content, { id: healed.content.id, key: content.key }]) {
        const publication = { uploadId, epoch: 1, content: under, file: newFile() };
        expect(await catalog.publish(publication)).toEqual({ kind: 'conflict' });
      }
      expect(await catalog.findContents({ md5: content.md5 })).toEqual([]);
      expect(await catalog.findContents({ md5: healed.content.md5 })).toEqual([healed.content]);
      expect(await removalKeys(catalog, 10)).toEqual([content.key]);
      expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving' });

      await catalog.unclaimRemoval(content.key, 'b');
      expect(await catalog.claimRemoval(content.key, 'b', 1_000)).toBe(false);
      await catalog.unclaimRemoval(content.key, 'a');
      expect(await catalog.claimRemoval(content.key, 'b', 1_000)).toBe(true);
      await catalog.leaveNode('b');
      const outcome = await catalog.publish({ uploadId, epoch: 1, content, file: newFile() });
      expect(outcome).toMatchObject({ kind: 'published' });
      expect(await removalKeys(catalog, 10)).toEqual([]);
      expect(await catalog.claimRemoval(content.key, 'a', 1_000)).toBe(false);
    });
  });
}
