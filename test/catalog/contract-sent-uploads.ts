/** Uploads by links: counted in the link's row, within its limits, however many begin at once. */
import { describe, expect, it } from 'vitest';
import type { Catalog, NewLink, NewUpload } from '../../server/catalog/catalog.ts';
import { MOST_OPEN_OF_LINK, type UploadTerms } from '../../server/catalog/sent-uploads.ts';
import type { Current } from './contract.ts';
import { newLink } from './contract-links.ts';
import { addPublished, addUpload, commitTo, fileEvents, newContent, newFile, newUpload, T0 } from './fixtures.ts';

/** What an upload link is recorded with. */
export function newUploadLink(terms: Partial<UploadTerms> = {}, fields: Partial<NewLink> = {}): NewLink {
  const none = { mostBytes: null, mostFiles: null, mostFileBytes: null, types: null };
  return newLink({ kind: 'upload', upload: { folder: 'inbox', ...none, ...terms }, ...fields });
}

const MOST = 100;

async function addUploadLink(
  catalog: Catalog,
  terms: Partial<UploadTerms> = {},
  fields: Partial<NewLink> = {},
): Promise<NewLink> {
  const link = newUploadLink(terms, fields);
  expect(await catalog.createLink(link, MOST)).toMatchObject({ link: { id: link.id, kind: 'upload' } });
  return link;
}

/** Begins an upload by a link. @returns its id, or why it was not recorded. */
async function begin(catalog: Catalog, { id: linkId }: NewLink, fields: Partial<NewUpload> = {}): Promise<string> {
  const upload = newUpload({ sent: { linkId, sender: 'Bob', note: null }, ...fields });
  const begun = await catalog.createUpload(upload, 1000);
  return begun === 'quota' ? 'quota' : begun === undefined ? 'too many' : upload.id;
}

async function taken(
  catalog: Catalog,
  { secretHash }: NewLink,
): Promise<[files: number | undefined, bytes: number | undefined]> {
  const { upload } = (await catalog.findLink(secretHash)) ?? {};
  return [upload?.sentFiles, upload?.sentBytes];
}

export function describeSentUploads(current: Current): void {
  describe('uploads by links', () => {
    it('are recorded with who sends them, and listed for the link, the newest first', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog, { folder: 'in/box', types: ['.pdf'], mostBytes: 1000 });
      expect(await catalog.findLink(link.secretHash)).toMatchObject({
        files: 0,
        upload: {
          folder: 'in/box',
          types: ['.pdf'],
          mostBytes: 1000,
          mostFiles: null,
          mostFileBytes: null,
          sentFiles: 0,
          sentBytes: 0,
        },
      });
      const sent = { linkId: link.id, sender: 'Bob', note: 'as promised' };
      const ids: string[] = [];
      for (let index = 0; index < 3; index++) {
        clock.nowMs += 1;
        ids.unshift(await addUpload(catalog, { size: 10, filename: `in/box/${index}`, sent }));
      }
      expect(await catalog.findUpload(ids[0] ?? '')).toMatchObject({ linkId: link.id, owner: 'ann' });
      const first = await catalog.listSent({ linkId: link.id, limit: 2 });
      const second = await catalog.listSent({ linkId: link.id, limit: 2, cursor: first.nextCursor ?? '' });
      expect([...first.uploads, ...second.uploads].map(({ id }) => id)).toEqual(ids);
      expect(second.nextCursor).toBeNull();
      expect(first.uploads[0]).toEqual({
        id: ids[0],
        ...sent,
        state: 'receiving',
        filename: 'in/box/2',
        size: 10,
        offset: 0,
        createdAt: T0 + 3,
        fileId: null,
      });
      await expect(catalog.listSent({ linkId: link.id, limit: 2, cursor: 'WyJ4Il0' })).rejects.toMatchObject({
        code: 'invalid_cursor',
      });
      expect((await catalog.listOpenSent(link.id, 10)).map(({ id }) => id).sort()).toEqual([...ids].sort());
    });

    it('are so many files and no more, however many begin at once', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostFiles: 3 });
      const begun = await Promise.all(Array.from({ length: 50 }, () => begin(catalog, link, { size: 5 })));
      expect(begun.filter((id) => id === 'quota')).toHaveLength(47);
      expect(await taken(catalog, link)).toEqual([3, 15]);
    });

    it('are so many bytes and no more, however many begin at once', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostBytes: 100 });
      const begun = await Promise.all(Array.from({ length: 20 }, () => begin(catalog, link, { size: 30 })));
      expect(begun.filter((id) => id !== 'quota')).toHaveLength(3);
      expect(await taken(catalog, link)).toEqual([3, 90]);
      expect(await begin(catalog, link, { size: 11 })).toBe('quota');
      expect(await begin(catalog, link, { size: 10 })).not.toBe('quota');
    });

    it('count a length from when it is declared or expected, and only once', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostBytes: 100 });
      const [one, other] = [await begin(catalog, link, { size: null }), await begin(catalog, link, { size: null })];
      expect(await taken(catalog, link)).toEqual([2, 0]);
      expect(await catalog.expectLength(one, 1, 60)).toBe(true);
      expect(await catalog.declareLength(other, 1, 41)).toBe('quota');
      expect(await catalog.findUpload(other)).toMatchObject({ size: null });
      expect(await catalog.declareLength(other, 1, 40)).toBe(true);
      expect(await taken(catalog, link)).toEqual([2, 100]);
      expect(await catalog.declareLength(one, 1, 60)).toBe(true);
      expect(await catalog.withdrawLength(other, 1)).toBe(true);
      expect(await taken(catalog, link)).toEqual([2, 60]);
      expect(await catalog.declareLength(other, 2, 1)).toBe(false);
    });

    it('count what has arrived of a body of unknown length, until that is known', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostBytes: 100 });
      const id = await begin(catalog, link, { size: null });
      await catalog.commitOffset(commitTo(id, 70));
      expect(await taken(catalog, link)).toEqual([1, 70]);
      expect(await begin(catalog, link, { size: 31 })).toBe('quota');
      // What has arrived is there, whatever the limit is.
      await catalog.commitOffset(commitTo(id, 130));
      expect(await taken(catalog, link)).toEqual([1, 130]);
      expect(await catalog.declareLength(id, 1, 130)).toBe('quota');
      await catalog.changeLink(link.id, 'ann', { limits: { mostBytes: 150 } }, MOST);
      expect(await catalog.declareLength(id, 1, 150)).toBe(true);
      await catalog.commitOffset(commitTo(id, 140));
      expect(await taken(catalog, link)).toEqual([1, 150]);
      await catalog.endUpload(id, 1, 'terminated', null);
      expect(await taken(catalog, link)).toEqual([0, 0]);
    });

    it('are found by the files that they became: the first that sent it, and nobody where it was there before', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog);
      const own = await addPublished(catalog, newContent('own'), { name: 'inbox/own' });
      const send = async (what: string, sender: string): Promise<string> => {
        clock.nowMs += 10;
        const content = newContent(what);
        const sent = { linkId: link.id, sender, note: null };
        const uploadId = await addUpload(catalog, { size: content.size, sent });
        const [known] = await catalog.findContents({ md5: content.md5 });
        const file = newFile({ name: `inbox/${what}` });
        const published = await catalog.publish({
          uploadId,
          epoch: 1,
          content: known ? { id: known.id } : content,
          file,
        });
        return published.kind === 'published' ? published.file.id : '';
      };
      expect(await send('own', 'Eve')).toBe(own.id);
      const fileId = await send('sent', 'Bob');
      expect(await send('sent', 'Eve')).toBe(fileId);
      const found = await catalog.findSenders([own.id, fileId, 'none']);
      expect(found).toEqual([{ fileId, linkId: link.id, sender: 'Bob', note: null }]);
      expect(await catalog.findSenders([])).toEqual([]);
    });

    it('keep a length that was taken, also where the limit is lower by then, or others have sent more', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostBytes: 100 });
      const [taken60, unknown] = [
        await begin(catalog, link, { size: null }),
        await begin(catalog, link, { size: null }),
      ];
      expect(await catalog.expectLength(taken60, 1, 60)).toBe(true);
      await catalog.commitOffset(commitTo(unknown, 80));
      expect(await taken(catalog, link)).toEqual([2, 140]);
      expect(await catalog.expectLength(taken60, 1, 61)).toBe('quota');
      expect(await catalog.declareLength(taken60, 1, 60)).toBe(true);
      expect(await catalog.expectLength(taken60, 1, 50)).toBe(true);
      expect(await catalog.expectLength(taken60, 1, null)).toBe(true);
      // What has arrived of an unknown length was never taken.
      expect(await catalog.declareLength(unknown, 1, 101)).toBe('quota');
    });

    it('are so many bytes in all as numbers can count, also without a limit', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog);
      const most = Number.MAX_SAFE_INTEGER;
      expect(await begin(catalog, link, { size: most })).not.toBe('quota');
      expect(await begin(catalog, link, { size: most })).toBe('quota');
      const unknown = await begin(catalog, link, { size: null });
      expect(await catalog.declareLength(unknown, 1, 1)).toBe('quota');
      await catalog.commitOffset(commitTo(unknown, 10));
      expect(await taken(catalog, link)).toEqual([2, most]);
      expect((await catalog.listLinks({ owner: 'ann', limit: 10 })).links).toHaveLength(1);
    });

    it('are when the link was last used', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog, { mostFiles: 1 });
      expect(await catalog.findLink(link.secretHash)).toMatchObject({ lastUsedAt: null });
      clock.nowMs += 1000;
      await begin(catalog, link);
      expect(await catalog.findLink(link.secretHash)).toMatchObject({ lastUsedAt: clock.nowMs });
      const usedAt = clock.nowMs;
      clock.nowMs += 1000;
      expect(await begin(catalog, link)).toBe('quota');
      expect(await catalog.findLink(link.secretHash)).toMatchObject({ lastUsedAt: usedAt });
    });

    it('are not found for their owner, whose clients would continue them', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog);
      const { md5 } = newContent('c');
      await begin(catalog, link, { size: 10, md5 });
      const query = { md5, owner: 'ann', size: 10, sha256: null, minOffset: 0 };
      expect(await catalog.findReceiving(query)).toBeUndefined();
      const own = await addUpload(catalog, { size: 10, md5 });
      expect(await catalog.findReceiving(query)).toMatchObject({ id: own });
    });

    it('declare lengths at once: those that fit', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostBytes: 100 });
      const ids = await Promise.all(Array.from({ length: 10 }, () => begin(catalog, link, { size: null })));
      const declared = await Promise.all(ids.map((id) => catalog.declareLength(id, 1, 30)));
      expect(declared.filter((outcome) => outcome === true)).toHaveLength(3);
      expect(await taken(catalog, link)).toEqual([10, 90]);
    });

    it('that end without a file count no more; one that became a file does, also when that is deleted', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostFiles: 4 });
      const ends = ['rejected', 'expired', 'terminated'] as const;
      for (const state of ends) await catalog.endUpload(await begin(catalog, link, { size: 10 }), 1, state, null);
      expect(await taken(catalog, link)).toEqual([0, 0]);
      const uploadId = await begin(catalog, link, { size: 100 });
      const content = newContent('c', { size: 100 });
      const published = await catalog.publish({ uploadId, epoch: 1, content, file: newFile({ name: 'inbox/a' }) });
      const fileId = published.kind === 'published' ? published.file.id : '';
      expect(await taken(catalog, link)).toEqual([1, 100]);
      await catalog.deleteFile(fileId, 'ann');
      expect(await taken(catalog, link)).toEqual([1, 100]);
    });

    it('are refused where the link is revoked, expired, for downloads, or not there; those that are open are found', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog, {}, { lifeMs: 10 });
      const open = await begin(catalog, link);
      expect(open).not.toBe('quota');
      clock.nowMs += 10;
      expect(await begin(catalog, link)).toBe('quota');
      expect(await catalog.changeLink(link.id, 'ann', { lifeMs: 100 }, MOST)).toMatchObject({ leftMs: 100 });
      expect(await begin(catalog, link)).not.toBe('quota');
      expect(await catalog.listWithoutLink(null, 10)).toEqual([]);
      await catalog.revokeLink(link.id, 'ann');
      expect(await begin(catalog, link)).toBe('quota');
      const [first, ...rest] = await catalog.listWithoutLink(null, 1);
      expect([rest, first?.linkId]).toEqual([[], link.id]);
      const next = await catalog.listWithoutLink(first ?? null, 10);
      expect([first, ...next].map((place) => place?.id)).toContain(open);
      const file = await addPublished(catalog, newContent('c'));
      const download = newLink({ fileIds: [file.id] });
      await catalog.createLink(download, MOST);
      for (const other of [download, newLink()]) expect(await begin(catalog, other)).toBe('quota');
    });

    it('are so many unfinished ones of a link, so that nobody takes those of its owner', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog);
      for (let index = 0; index < MOST_OPEN_OF_LINK; index++) expect(await begin(catalog, link)).not.toBe('quota');
      expect(await begin(catalog, link)).toBe('quota');
      expect(await begin(catalog, await addUploadLink(catalog))).not.toBe('quota');
    });

    it('have limits that their owner changes; one that is left out stays', async () => {
      const { catalog } = current();
      const link = await addUploadLink(catalog, { mostFiles: 1, mostBytes: 100 });
      await begin(catalog, link, { size: 50 });
      expect(await begin(catalog, link, { size: 50 })).toBe('quota');
      expect(await catalog.changeLink(link.id, 'bob', { limits: { mostFiles: 2 } }, MOST)).toBeUndefined();
      const changed = await catalog.changeLink(link.id, 'ann', { limits: { mostFiles: 2 } }, MOST);
      expect(changed).toMatchObject({ upload: { mostFiles: 2, mostBytes: 100, sentFiles: 1, sentBytes: 50 } });
      expect(await begin(catalog, link, { size: 50 })).not.toBe('quota');
    });

    it('are told with the event of their file, and with no other', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog);
      await addPublished(catalog, newContent('own'), { name: 'inbox/own' });
      clock.nowMs += 10;
      // Begun later, it becomes the file that is there: it was not what made it.
      const again = await begin(catalog, link, { size: newContent('own').size });
      const [own] = await catalog.findContents({ md5: newContent('own').md5 });
      const file = newFile({ name: 'inbox/own' });
      await catalog.publish({ uploadId: again, epoch: 1, content: { id: own?.id ?? 0 }, file });
      const uploadId = await begin(catalog, link, { size: newContent('sent').size });
      await catalog.publish({ uploadId, epoch: 1, content: newContent('sent'), file: newFile({ name: 'inbox/sent' }) });
      const events = fileEvents((await catalog.listEvents({ owner: 'ann', after: 0, limit: 10 })) ?? []);
      expect(events.map(({ file: { name }, sent }) => [name, sent])).toEqual([
        ['inbox/own', undefined],
        ['inbox/sent', { linkId: link.id, sender: 'Bob', note: null }],
      ]);
    });

    it('by a link without files: it is not forgotten as an empty one', async () => {
      const { catalog, clock } = current();
      const link = await addUploadLink(catalog);
      clock.nowMs += 10_000;
      for (let after: string | null = ''; after !== null; after = await catalog.forgetLinks(after, 1000, 10));
      clock.nowMs += 10_000;
      for (let after: string | null = ''; after !== null; after = await catalog.forgetLinks(after, 1000, 10));
      // Without files it is not empty.
      expect(await catalog.findLink(link.secretHash)).toBeDefined();
    });
  });
}
