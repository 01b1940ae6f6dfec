/** Links: recorded with their files, found by their secrets, counted, and forgotten. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Catalog, LinkRecord, NewLink } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { addPublished, giveFile, newContent, T0 } from './fixtures.ts';

/** What a link is recorded with. */
export function newLink(fields: Partial<NewLink> = {}): NewLink {
  return {
    id: randomUUID(),
    owner: 'ann',
    kind: 'download',
    secretHash: `hash of ${randomUUID()}`,
    name: null,
    lifeMs: null,
    password: null,
    mostDownloads: null,
    fileIds: [],
    folders: [],
    ...fields,
  };
}

/** More than a test makes. */
const MOST = 100;

export async function addLink(catalog: Catalog, fields: Partial<NewLink> = {}): Promise<LinkRecord> {
  const recorded = await catalog.createLink(newLink(fields), MOST);
  if (recorded === 'too_many') throw new Error('there are too many links');
  if (!('link' in recorded)) throw new Error(`not recorded: ${JSON.stringify(recorded)}`);
  return recorded.link;
}

async function forgetAll(catalog: Catalog, forMs: number): Promise<void> {
  for (let after: string | null = ''; after !== null; after = await catalog.forgetLinks(after, forMs, 2));
}

export function describeLinks(current: Current): void {
  describe('links', () => {
    it('are found by the hash of their secret, with all that was recorded', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c'));
      const link = newLink({ name: 'for bob', lifeMs: 5000, password: 'p', mostDownloads: 3, fileIds: [file.id] });
      const expected = {
        id: link.id,
        owner: 'ann',
        kind: 'download',
        name: 'for bob',
        password: 'p',
        mostDownloads: 3,
        createdAt: T0,
        expiresAt: T0 + 5000,
        leftMs: 5000,
        waitMs: 0,
        downloads: 0,
        revokedAt: null,
        lastUsedAt: null,
        files: 1,
        folders: 0,
        firstName: 'a.txt',
        firstFolder: null,
        upload: null,
      };
      expect(await catalog.createLink(link, MOST)).toEqual({ link: expected });
      expect(await catalog.findLink(link.secretHash)).toEqual(expected);
      expect(await catalog.findLink('another')).toBeUndefined();
    });

    it('have as many files as were given, in order, and keep their positions when one is deleted', async () => {
      const { catalog } = current();
      const first = await addPublished(catalog, newContent('c'));
      const ids = [first.id];
      for (let index = 1; index < 260; index++)
        ids.push((await giveFile(catalog, first.content.id, { name: `file ${index}` }))?.id ?? '');
      ids.reverse();
      const { id, files } = await addLink(catalog, { fileIds: ids });
      expect(files).toBe(260);
      const listed = await catalog.listLinkFiles(id);
      expect(listed.map(({ file }) => file.id)).toEqual(ids);
      expect(listed.map(({ position }) => position)).toEqual(ids.map((_, index) => index + 1));
      await catalog.renameFile(ids[0] ?? '', 'ann', 'renamed', null);
      await catalog.deleteFile(ids[1] ?? '', 'ann');
      const left = await catalog.listLinkFiles(id);
      expect(left.slice(0, 2).map(({ position, file }) => [position, file.name])).toEqual([
        [1, 'renamed'],
        [3, 'file 257'],
      ]);
      expect(await catalog.findLinkFile(id, 2)).toBeUndefined();
      expect(await catalog.findLinkFile(id, 3)).toEqual(left[1]?.file);
      expect(await catalog.findLinkFile('another', 1)).toBeUndefined();
    });

    it('are made of the owner’s files alone, whole or not at all', async () => {
      const { catalog } = current();
      const mine = await addPublished(catalog, newContent('c'));
      const theirs = await addPublished(catalog, newContent('d'), { owner: 'bob' });
      for (const missing of [theirs.id, 'another'])
        expect(await catalog.createLink(newLink({ fileIds: [mine.id, missing] }), MOST)).toEqual({ missing });
      expect(await catalog.listLinks({ owner: 'ann', limit: 10 })).toEqual({ links: [], nextCursor: null });
    });

    it('are listed for their owner, the newest first, page by page', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      const made: string[] = [];
      for (let index = 0; index < 5; index++) {
        clock.nowMs += index % 2;
        made.push((await addLink(catalog, { fileIds: [file.id] })).id);
      }
      const seen: LinkRecord[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = await catalog.listLinks({ owner: 'ann', limit: 2, ...(cursor === undefined ? {} : { cursor }) });
        seen.push(...page.links);
        cursor = page.nextCursor;
      }
      expect(seen.map(({ id }) => id).sort()).toEqual(made.sort());
      expect(seen.map(({ createdAt }) => createdAt)).toEqual(
        seen.map(({ createdAt }) => createdAt).sort((a, b) => b - a),
      );
      expect((await catalog.listLinks({ owner: 'bob', limit: 10 })).links).toEqual([]);
      await expect(catalog.listLinks({ owner: 'ann', limit: 2, cursor: 'WyJ4Il0' })).rejects.toMatchObject({
        code: 'invalid_cursor',
      });
    });

    it('are changed and revoked by their owner alone', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      const { id } = await addLink(catalog, { fileIds: [file.id], lifeMs: 10 });
      expect(await catalog.changeLink(id, 'bob', { lifeMs: null }, MOST)).toBeUndefined();
      clock.nowMs += 10;
      expect(await catalog.countDownload(id)).toBe(false);
      const longer = await catalog.changeLink(id, 'ann', { lifeMs: 100, name: 'new', mostDownloads: 1 }, MOST);
      expect(longer).toMatchObject({ expiresAt: T0 + 110, leftMs: 100, name: 'new', mostDownloads: 1 });
      expect(await catalog.changeLink(id, 'ann', { lifeMs: null }, MOST)).toMatchObject({ leftMs: null, name: 'new' });
      expect(await catalog.revokeLink(id, 'bob')).toBe(false);
      expect(await catalog.countDownload(id)).toBe(true);
      expect(await catalog.changeLink(id, 'ann', { mostDownloads: 2 }, MOST)).toMatchObject({ mostDownloads: 2 });
      expect(await catalog.revokeLink(id, 'ann')).toBe(true);
      expect(await catalog.revokeLink(id, 'ann')).toBe(false);
      expect(await catalog.changeLink(id, 'ann', { lifeMs: null }, MOST)).toBeUndefined();
      expect(await catalog.countDownload(id)).toBe(false);
      const [link] = (await catalog.listLinks({ owner: 'ann', limit: 1 })).links;
      expect(link).toMatchObject({ revokedAt: clock.nowMs, downloads: 1, lastUsedAt: clock.nowMs });
    });

    it('are so many of an owner and no more, however many are made at once; those that have ended do not count', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      const theirs = await addPublished(catalog, newContent('d'), { owner: 'bob' });
      const make = (fields: Partial<NewLink> = {}) => catalog.createLink(newLink({ fileIds: [file.id], ...fields }), 4);
      const at = async (made: ReturnType<typeof make>): Promise<string> => {
        const recorded = await made;
        return recorded !== 'too_many' && 'link' in recorded ? recorded.link.id : 'too many';
      };
      const expiring = await at(make({ lifeMs: 10 }));
      const used = await at(make({ mostDownloads: 1 }));
      const atOnce = await Promise.all(Array.from({ length: 6 }, () => at(make())));
      expect(atOnce.filter((id) => id === 'too many')).toHaveLength(4);
      expect(await at(make({ owner: 'bob', fileIds: [theirs.id] }))).not.toBe('too many');
      // What is no new link is not refused.
      expect(await catalog.changeLink(expiring, 'ann', { lifeMs: 20 }, 4)).toMatchObject({ leftMs: 20 });
      clock.nowMs += 20;
      await catalog.countDownload(used);
      await catalog.revokeLink(atOnce.find((id) => id !== 'too many') ?? '', 'ann');
      for (const isThere of [true, true, true, false]) expect((await at(make())) !== 'too many').toBe(isThere);
      // Those that have ended may not begin again, either.
      expect(await catalog.changeLink(expiring, 'ann', { lifeMs: null }, 4)).toBe('too_many');
      expect(await catalog.changeLink(used, 'ann', { mostDownloads: 2 }, 4)).toBe('too_many');
      expect(await catalog.changeLink(expiring, 'ann', { name: 'old' }, 4)).toMatchObject({ name: 'old', leftMs: 0 });
    });

    it('that are revoked keep none of their files', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c'));
      const [revoked, other] = [
        await addLink(catalog, { fileIds: [file.id] }),
        await addLink(catalog, { fileIds: [file.id] }),
      ];
      expect(await catalog.revokeLink(revoked.id, 'bob')).toBe(false);
      expect(await catalog.listLinkFiles(revoked.id)).toHaveLength(1);
      await catalog.revokeLink(revoked.id, 'ann');
      expect(await catalog.listLinkFiles(revoked.id)).toEqual([]);
      expect(await catalog.listLinkFiles(other.id)).toHaveLength(1);
    });

    it('are for so many downloads and no more, however many come at once; one given back counts again', async () => {
      const { catalog } = current();
      const file = await addPublished(catalog, newContent('c'));
      const { id } = await addLink(catalog, { fileIds: [file.id], mostDownloads: 3 });
      const counted = await Promise.all(Array.from({ length: 50 }, () => catalog.countDownload(id)));
      expect(counted.filter(Boolean)).toHaveLength(3);
      await catalog.giveBackDownload(id);
      expect([await catalog.countDownload(id), await catalog.countDownload(id)]).toEqual([true, false]);
      const unlimited = await addLink(catalog, { fileIds: [file.id] });
      await catalog.giveBackDownload(unlimited.id);
      expect(await catalog.countDownload(unlimited.id)).toBe(true);
    });

    it('take so many passwords and then wait, however many come at once', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      const link = newLink({ fileIds: [file.id], password: 'p' });
      await catalog.createLink(link, MOST);
      const attempt = (): Promise<boolean> => catalog.countAttempt(link.id, 10, 1000);
      expect((await Promise.all(Array.from({ length: 30 }, attempt))).filter(Boolean)).toHaveLength(10);
      expect(await catalog.findLink(link.secretHash)).toMatchObject({ waitMs: 1000 });
      clock.nowMs += 999;
      expect(await attempt()).toBe(false);
      clock.nowMs += 1;
      for (let index = 0; index < 9; index++) expect(await attempt()).toBe(true);
      await catalog.forgiveAttempts(link.id);
      expect((await Promise.all(Array.from({ length: 11 }, attempt))).filter(Boolean)).toHaveLength(10);
    });

    it('are forgotten a while after they ended, and not before', async () => {
      const { catalog, clock } = current();
      const file = await addPublished(catalog, newContent('c'));
      const gone = await giveFile(catalog, file.content.id, { name: 'gone' });
      const kept = [
        await addLink(catalog, { fileIds: [file.id] }),
        await addLink(catalog, { fileIds: [file.id], lifeMs: 10_000 }),
        await addLink(catalog, { fileIds: [file.id], mostDownloads: 2 }),
      ];
      const [expired, revoked, used, empty] = [
        await addLink(catalog, { fileIds: [file.id], lifeMs: 1 }),
        await addLink(catalog, { fileIds: [file.id] }),
        await addLink(catalog, { fileIds: [file.id], mostDownloads: 1 }),
        await addLink(catalog, { fileIds: [gone?.id ?? ''] }),
      ];
      for (const { id } of [used, ...kept]) await catalog.countDownload(id);
      await catalog.revokeLink(revoked.id, 'ann');
      await catalog.deleteFile(gone?.id ?? '', 'ann');
      const ids = async (): Promise<string[]> =>
        (await catalog.listLinks({ owner: 'ann', limit: 10 })).links.map(({ id }) => id).sort();
      const all = [...kept, expired, revoked, used, empty].map(({ id }) => id).sort();
      await forgetAll(catalog, 1000);
      clock.nowMs += 1000;
      await forgetAll(catalog, 1000);
      expect(await ids()).toEqual(all);
      clock.nowMs += 2;
      await forgetAll(catalog, 1000);
      expect(await ids()).toEqual(kept.map(({ id }) => id).sort());
      // Their files stay, and so do their rows in the other links.
      expect(await catalog.listLinkFiles(kept[0]?.id ?? '')).toHaveLength(1);
      expect(await catalog.listLinkFiles(used.id)).toEqual([]);
    });

    it('have what is in their folders when they are opened, wherever these have moved, by paths', async () => {
      const { catalog } = current();
      const put = (name: string, size = 10) =>
        addPublished(catalog, newContent(`of a link: ${name}`, { size }), { name });
      const names = ['p/a/2.txt', 'p/a/1.txt', 'p/a/b/3.txt', 'p/a/c/d/4.txt', 'q/5.txt', 'single.txt'];
      const files: Record<string, string> = {};
      for (const name of names) files[name] = (await put(name)).id;
      const link = await addLink(catalog, { fileIds: [files['single.txt'] ?? ''], folders: ['p/a', 'q'] });
      expect(link).toMatchObject({ files: 6, folders: 2, firstName: 'single.txt', firstFolder: 'a' });
      expect(await catalog.listLinkFolders(link.id)).toEqual([
        { position: 2, path: 'p/a', files: 4, bytes: 40 },
        { position: 3, path: 'q', files: 1, bytes: 10 },
      ]);
      const level = async (position: number, path: string, limit: number) => {
        const seen: string[] = [];
        let after: { among: 'folders' | 'files'; name: string } | null = null;
        for (;;) {
          const page = await catalog.listLinkedLevel({ linkId: link.id, position, path, after, limit });
          if (!page) return undefined;
          const [folders, found] = [page.folders.map((each) => `${each.path}/`), page.files.map(({ name }) => name)];
          seen.push(...folders, ...found);
          if (!page.hasMore) return seen;
          const [file, folder]: (string | undefined)[] = [found.at(-1), page.folders.at(-1)?.path];
          after = file
            ? { among: 'files', name: file.slice(file.lastIndexOf('/') + 1) }
            : { among: 'folders', name: folder?.slice(folder.lastIndexOf('/') + 1) ?? '' };
        }
      };
      for (const limit of [1, 2, 10]) {
        expect(await level(2, '', limit)).toEqual(['p/a/b/', 'p/a/c/', 'p/a/1.txt', 'p/a/2.txt']);
        expect(await level(2, 'c', limit)).toEqual(['p/a/c/d/']);
        expect(await level(3, '', limit)).toEqual(['q/5.txt']);
      }
      // What the page before ended with is gone.
      const beyond = { linkId: link.id, position: 2, path: '', limit: 10 };
      expect(await catalog.listLinkedLevel({ ...beyond, after: { among: 'folders', name: 'bb' } })).toMatchObject({
        folders: [{ path: 'p/a/c' }],
        files: [{ name: 'p/a/1.txt' }, { name: 'p/a/2.txt' }],
      });
      expect(await catalog.listLinkedLevel({ ...beyond, after: { among: 'files', name: '11' } })).toMatchObject({
        folders: [],
        files: [{ name: 'p/a/2.txt' }],
      });
      for (const [position, path] of [
        [1, ''],
        [2, 'x'],
        [2, '1.txt'],
        [3, 'b'],
        [4, ''],
      ] as const)
        expect(await level(position, path, 10), `${position} ${path}`).toBeUndefined();
      expect(await catalog.findLinkedFile(link.id, 2, 'c/d/4.txt')).toMatchObject({ name: 'p/a/c/d/4.txt' });
      for (const [position, path] of [
        [2, 'c/d'],
        [2, '5.txt'],
        [3, '1.txt'],
        [1, 'single.txt'],
        [2, ''],
      ] as const)
        expect(await catalog.findLinkedFile(link.id, position, path), `${position} ${path}`).toBeUndefined();

      await catalog.moveFolder('ann', 'p', 'moved/p');
      await put('moved/p/a/later.txt', 5);
      expect(await catalog.listLinkFolders(link.id)).toMatchObject([
        { position: 2, path: 'moved/p/a', files: 5, bytes: 45 },
        { position: 3, path: 'q' },
      ]);
      await put('p/a/not of it.txt');
      expect(await level(2, '', 10)).toHaveLength(5);
      await catalog.deleteBelow('ann', 'q');
      await put('q/new.txt');
      expect(await catalog.listLinkFolders(link.id)).toHaveLength(1);
      await catalog.deleteBelow('ann', 'moved');
      expect(await catalog.findLink(newLink().secretHash)).toBeUndefined();
      expect((await catalog.listLinks({ owner: 'ann', limit: 1 })).links).toMatchObject([
        { files: 1, folders: 0, firstFolder: null },
      ]);
    });

    it('are made to folders of their owner alone, and forgotten once these are gone', async () => {
      const { catalog, clock } = current();
      await addPublished(catalog, newContent('of a folder of a link'), { name: 'f/1.txt' });
      for (const folders of [['g'], ['f', 'f/1.txt'], ['F']]) {
        const made = await catalog.createLink(newLink({ folders }), MOST);
        expect(made).toEqual({ missingFolder: folders.at(-1) });
      }
      expect(await catalog.createLink(newLink({ folders: ['f'], owner: 'bob' }), MOST)).toEqual({ missingFolder: 'f' });
      const kept = await addLink(catalog, { folders: ['f'] });
      const revoked = await addLink(catalog, { folders: ['f'] });
      expect(await catalog.revokeLink(revoked.id, 'ann')).toBe(true);
      expect(await catalog.listLinkFolders(revoked.id)).toEqual([]);
      await forgetAll(catalog, 1000);
      clock.nowMs += 5000;
      await forgetAll(catalog, 1000);
      expect((await catalog.listLinks({ owner: 'ann', limit: 10 })).links.map(({ id }) => id)).toEqual([kept.id]);
      await catalog.deleteBelow('ann', 'f');
      await forgetAll(catalog, 1000);
      clock.nowMs += 5000;
      await forgetAll(catalog, 1000);
      expect((await catalog.listLinks({ owner: 'ann', limit: 10 })).links).toEqual([]);
    });
  });
}
