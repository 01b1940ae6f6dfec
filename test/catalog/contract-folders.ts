/** Folders: names that are paths, names that are taken, listings of one level and of all below, moves and deletions. */
import { describe, expect, it } from 'vitest';
import type { Catalog, FileRecord, FileSort, FolderRecord } from '../../server/catalog/catalog.ts';
import type { Current } from './contract.ts';
import { addPublished, addUpload, giveFile, newContent, newFile, newUpload } from './fixtures.ts';

let contents = 0;

/** Publishes new bytes under a name. */
function add(catalog: Catalog, name: string, size = 10, owner = 'ann'): Promise<FileRecord> {
  return addPublished(catalog, newContent(`folder content ${contents++}`, { size }), { name, owner });
}

const names = (files: readonly FileRecord[]): string[] => files.map(({ name }) => name);

async function allBelow(catalog: Catalog, folder: string, limit: number, owner = 'ann'): Promise<string[] | undefined> {
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Catalog['listBelow']>> = await catalog.listBelow({
      owner,
      folder,
      limit,
      ...(cursor === null ? {} : { cursor }),
    });
    if (!page) return undefined;
    expect(page.files.length).toBeLessThanOrEqual(limit);
    seen.push(...names(page.files));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return seen;
}

type LevelEntry = string | [path: string, files: number, bytes: number];

async function level(
  catalog: Catalog,
  folder: string,
  { sort = 'name', descending = false, limit = 1000 }: { sort?: FileSort; descending?: boolean; limit?: number } = {},
): Promise<LevelEntry[] | undefined> {
  const seen: LevelEntry[] = [];
  let cursor: string | null = null;
  do {
    const query = { owner: 'ann', folder, sort, descending, limit };
    const page: Awaited<ReturnType<Catalog['listFolder']>> = await catalog.listFolder(
      cursor === null ? query : { ...query, cursor },
    );
    if (!page) return undefined;
    expect(page.folders.length + page.files.length).toBeLessThanOrEqual(limit);
    seen.push(...page.folders.map(({ path, files, bytes }): LevelEntry => [path, files, bytes]), ...names(page.files));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return seen;
}

export function describeFolders(current: Current): void {
  describe('folders', () => {
    it('are there as long as there are files below them, by every way that a file comes and goes', async () => {
      const { catalog } = current();
      const x = await add(catalog, 'a/b/x.txt', 10);
      expect(x.name).toBe('a/b/x.txt');
      expect(await catalog.findFile(x.id, 'ann')).toEqual(x);
      const y = await giveFile(catalog, x.content.id, { name: 'a/y.txt' });
      const atOnce = newContent('at once', { size: 7 });
      const upload = { ...newUpload({ size: 7 }), size: 7 };
      const once = await catalog.publishAtOnce({ upload, content: atOnce, file: newFile({ name: 'a/b/c/z' }) });
      expect(once).toMatchObject({ kind: 'published', file: { name: 'a/b/c/z' } });
      expect(await level(catalog, '')).toEqual([['a', 3, 27]]);
      expect(await level(catalog, 'a')).toEqual([['a/b', 2, 17], 'a/y.txt']);
      expect(await catalog.findFolder('ann', 'a/b/c')).toEqual({ path: 'a/b/c', files: 1, bytes: 7 });
      // Letter case matters, and so does the owner.
      for (const [owner, path] of [
        ['ann', 'A'],
        ['ann', 'a/b/c/z'],
        ['bob', 'a'],
        ['ann', 'b'],
      ] as const) {
        expect(await catalog.findFolder(owner, path), path).toBeUndefined();
        expect(await catalog.listBelow({ owner, folder: path, limit: 10 }), path).toBeUndefined();
      }
      const moved = await catalog.renameFile(x.id, 'ann', 'd/x.md', 'text/markdown');
      expect(moved).toEqual({ ...x, name: 'd/x.md', type: 'text/markdown' });
      expect(await level(catalog, '')).toEqual([
        ['a', 2, 17],
        ['d', 1, 10],
      ]);
      await catalog.renameFile(x.id, 'ann', 'x.md', null);
      expect(await catalog.findFolder('ann', 'd')).toBeUndefined();
      await catalog.deleteFile(y?.id ?? '', 'ann');
      expect(await level(catalog, '')).toEqual([['a', 1, 7], 'x.md']);
      if (once.kind === 'published') await catalog.deleteFile(once.file.id, 'ann');
      expect(await level(catalog, '')).toEqual(['x.md']);
      const kinds = (await catalog.listEvents({ owner: 'ann', after: 0, limit: 100 })) ?? [];
      expect(kinds.map((event) => (event.kind === 'moved' ? '' : `${event.kind} ${event.file.name}`))).toEqual([
        'published a/b/x.txt',
        'published a/y.txt',
        'published a/b/c/z',
        'renamed d/x.md',
        'renamed x.md',
        'deleted a/y.txt',
        'deleted a/b/c/z',
      ]);
    });

    it('tell which of many names are taken, and by what', async () => {
      const { catalog } = current();
      const found = async (given: readonly string[], owner = 'ann') =>
        (await catalog.findNamed(owner, given)).map(({ name, size }) => `${name} ${size}`).toSorted();
      const top = await add(catalog, 'n.txt', 1);
      await add(catalog, 'f/n.txt', 2);
      await add(catalog, 'f/g/n.txt', 3);
      await add(catalog, 'f/g/o.txt', 4);
      await add(catalog, 'bobs/n.txt', 5, 'bob');
      expect(await catalog.findNamed('ann', ['n.txt'])).toEqual([{ name: 'n.txt', size: 1, md5: top.content.md5 }]);
      const asked = [
        'n.txt',
        'f/n.txt',
        'f/n.txt',
        'f/g/n.txt',
        'f/g/o.txt',
        'f/g/p.txt',
        'f',
        'f/g',
        'g/n.txt',
        'N.txt',
      ];
      expect(await found([...asked, 'bobs/n.txt', 'f/n.txt/n.txt', 'none/n.txt'])).toEqual([
        'f/g/n.txt 3',
        'f/g/o.txt 4',
        'f/n.txt 2',
        'n.txt 1',
      ]);
      expect(await found(asked, 'bob')).toEqual([]);
      expect(await found([])).toEqual([]);
      const many = Array.from({ length: 1_000 }, (_, index) => `${index % 3 === 0 ? 'f/' : ''}none ${index}`);
      expect(await found([...many.slice(1), 'f/n.txt'])).toEqual(['f/n.txt 2']);
    });

    for (const folder of ['', 'f/']) {
      it(`keep both files of one name, or replace one, ${folder === '' ? 'at the top' : 'in a folder'}`, async () => {
        const { catalog } = current();
        const first = await add(catalog, `${folder}n.txt`);
        const second = await add(catalog, `${folder}n.txt`);
        expect(second.name).toBe(`${folder}n (2).txt`);
        // The same bytes once more: the file that is there, under its number, too.
        const again = await giveFile(catalog, second.content.id, { name: `${folder}n.txt` });
        expect(again).toEqual(second);
        expect(await giveFile(catalog, first.content.id, { name: `${folder}n.txt` })).toEqual(first);
        const other = await add(catalog, 'other.txt');
        const renamed = await catalog.renameFile(other.id, 'ann', `${folder}n.txt`, null);
        expect(renamed?.name).toBe(`${folder}n (3).txt`);
        // To the name that it has.
        expect((await catalog.renameFile(other.id, 'ann', `${folder}n (3).txt`, null))?.name).toBe(
          `${folder}n (3).txt`,
        );
        expect((await add(catalog, `${folder}n.txt`, 10, 'bob')).name).toBe(`${folder}n.txt`);
        for (let more = 4; more < 20; more++) await add(catalog, `${folder}n.txt`);
        const told = names(
          (await catalog.listFiles({ owner: 'ann', limit: 100, sort: 'name', descending: false })).files,
        );
        expect(new Set(told).size).toBe(19);

        const uploadId = await addUpload(catalog, { size: null, onConflict: 'replace' });
        expect((await catalog.findUpload(uploadId))?.onConflict).toBe('replace');
        const file = newFile({ name: `${folder}n.txt`, onConflict: 'replace' });
        const outcome = await catalog.publish({ uploadId, epoch: 1, content: newContent(`new ${folder}`), file });
        const { key, md5 } = first.content;
        expect(outcome).toMatchObject({ kind: 'published', file: { name: `${folder}n.txt` }, removed: { key, md5 } });
        expect(await catalog.findFile(first.id, 'ann')).toBeUndefined();
        expect(await catalog.findContents({ md5 })).toEqual([]);
        const placed = await catalog.addFile(
          second.content.id,
          newFile({ name: `${folder}new`, onConflict: 'replace' }),
        );
        expect(placed).toMatchObject({ file: { name: `${folder}new` }, removed: null });
        const last = ((await catalog.listEvents({ owner: 'ann', after: 0, limit: 100 })) ?? []).slice(-3);
        expect(last.map((event) => event.kind)).toEqual(['published', 'deleted', 'published']);
      });
    }

    it('replace the file of the name, and not one of the same bytes that has it with a number', async () => {
      const { catalog } = current();
      for (const folder of ['', 'f/']) {
        const name = `${folder}r.txt`;
        const first = await add(catalog, name);
        const second = await add(catalog, name);
        expect(second.name).toBe(`${folder}r (2).txt`);
        const file = newFile({ name, onConflict: 'replace' });
        const uploadId = await addUpload(catalog, { size: null, onConflict: 'replace' });
        const published = await catalog.publish({ uploadId, epoch: 1, content: { id: second.content.id }, file });
        const { key, md5 } = first.content;
        expect(published).toMatchObject({ kind: 'published', file: { name }, removed: { key, md5 } });
        expect(published.kind === 'published' && published.file.content.id).toBe(second.content.id);
        expect((await catalog.findFile(second.id, 'ann'))?.name).toBe(`${folder}r (2).txt`);
        // Once more, as after an answer that was lost.
        const again = await catalog.addFile(second.content.id, newFile({ name, onConflict: 'replace' }));
        expect(again).toEqual({ file: published.kind === 'published' && published.file, removed: null });
        const third = await add(catalog, name);
        const replaced = await catalog.addFile(third.content.id, newFile({ name, onConflict: 'replace' }));
        expect(replaced).toMatchObject({ file: { name, content: { id: third.content.id } }, removed: null });
        expect((await catalog.findFile(third.id, 'ann'))?.name).toBe(`${folder}r (3).txt`);
      }
    });

    it('find the same bytes under a number, also among very many files of these bytes', async () => {
      const { catalog, clock } = current();
      for (const folder of ['', 'f/']) {
        await add(catalog, `${folder}x.txt`);
        const { id } = (await add(catalog, `${folder}a`)).content;
        for (let index = 0; index < 150; index++) await giveFile(catalog, id, { name: `${folder}a ${index}` });
        // The last one in the index of files by their content.
        clock.nowMs += 1;
        const same = await giveFile(catalog, id, { name: `${folder}x.txt` });
        expect(same?.name).toBe(`${folder}x (2).txt`);
        const publish = async (): Promise<FileRecord> => addPublished(catalog, { id }, { name: `${folder}x.txt` });
        for (const again of [giveFile(catalog, id, { name: `${folder}x.txt` }), publish()])
          expect(await again).toEqual(same);
        // Neither has a number that the service gives.
        for (const other of ['x (1).txt', 'x (02).txt', 'x (2) .txt', 'x (123456789).txt'])
          await giveFile(catalog, id, { name: `${folder}${other}` });
        await catalog.deleteFile(same?.id ?? '', 'ann');
        for (const again of [await giveFile(catalog, id, { name: `${folder}x.txt` }), await publish()])
          expect(again?.name).toBe(`${folder}x (2).txt`);
      }
    });

    it('number a name at the end of a path that has no byte left', async () => {
      const { catalog } = current();
      const deep = `${`${'d'.repeat(254)}/`.repeat(15)}${'e'.repeat(254)}/`;
      const long = `${deep}${'ü'.repeat((4_096 - deep.length - 4) / 2)}.txt`;
      expect(Buffer.byteLength(long)).toBeGreaterThan(4_094);
      const short = `${'d'.repeat(239)}/`.repeat(17) + 'name.longer';
      for (const path of [long, short]) {
        await add(catalog, path);
        for (const number of [2, 3]) {
          const { name } = await add(catalog, path);
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(4_096);
          expect(name).toMatch(new RegExp(String.raw`\/.+ \(${number}\)(\.txt)?$`));
        }
      }
      await add(catalog, 'g/x');
      expect(await catalog.moveFolder('ann', 'g', `${'d'.repeat(239)}/`.repeat(17) + 'g')).toEqual({
        kind: 'too_long',
      });
    });

    it('list one level page by page: the folders by name, then the files in each order', async () => {
      const { catalog, clock } = current();
      const sizes = { 'top.txt': 5, B: 1, 'c/1': 30, 'a/x': 10, 'a/Y': 20, 'a/z/deep': 7, 'D/2': 1, 'a.txt': 9 };
      for (const [name, size] of Object.entries(sizes)) {
        clock.nowMs += 1;
        await add(catalog, name, size);
      }
      const folders = [
        ['a', 3, 37],
        ['c', 1, 30],
        ['D', 1, 1],
      ];
      for (const limit of [1, 2, 3, 4, 1000]) {
        expect(await level(catalog, '', { limit }), String(limit)).toEqual([...folders, 'a.txt', 'B', 'top.txt']);
        const bySize = { sort: 'size', descending: true, limit } as const;
        expect(await level(catalog, '', bySize)).toEqual([...folders, 'a.txt', 'top.txt', 'B']);
        const down = { descending: true, limit };
        expect(await level(catalog, '', down)).toEqual([...folders.toReversed(), 'top.txt', 'B', 'a.txt']);
        expect(await level(catalog, 'a', { sort: 'uploaded', limit })).toEqual([['a/z', 1, 7], 'a/x', 'a/Y']);
        expect(await allBelow(catalog, '', limit)).toEqual('a.txt B top.txt a/x a/Y a/z/deep c/1 D/2'.split(' '));
        expect(await allBelow(catalog, 'a', limit)).toEqual(['a/x', 'a/Y', 'a/z/deep']);
      }
      expect(
        names((await catalog.listFiles({ owner: 'ann', limit: 9, sort: 'name', descending: false })).files),
      ).toEqual('c/1 D/2 a.txt B a/z/deep top.txt a/x a/Y'.split(' '));
    });

    it('list the top in the same way where there are very many files', async () => {
      const { catalog } = current();
      const { content } = await add(catalog, 'in/folder');
      const many = Array.from({ length: 2_100 }, (_, index) => {
        const name = `n${String(index).padStart(4, '0')}`;
        const times = { uploaded_at: index, content_id: content.id, size: 10 };
        return { id: name, owner: 'ann', name, folded_name: name, type: null, ...times, folder_id: null };
      });
      for (let start = 0; start < many.length; start += 300)
        await catalog.rows.insert('files', many.slice(start, start + 300));
      const found = await level(catalog, '', { limit: 700 });
      expect(found).toEqual([['in', 1, 10], ...many.map(({ name }) => name)]);
    });

    it('refuse cursors of other listings, and show nobody else’s files for one that is made up', async () => {
      const { catalog } = current();
      for (const name of ['a/1', 'a/2', 'b/1', 'b/2']) await add(catalog, name);
      await add(catalog, 'secret/of-bob', 10, 'bob');
      const query = { owner: 'ann', folder: 'a', limit: 1, sort: 'name', descending: false } as const;
      const cursor = (await catalog.listFolder(query))?.nextCursor ?? '';
      const below = (await catalog.listBelow({ owner: 'ann', folder: 'a', limit: 1 }))?.nextCursor ?? '';
      const encode = (fields: unknown) => Buffer.from(JSON.stringify(fields)).toString('base64url');
      const [kind] = JSON.parse(Buffer.from(below, 'base64url').toString()) as [unknown];
      const others = [{ folder: 'b', cursor }, { sort: 'size' as const, cursor }, { cursor: below }, { cursor: 'x' }];
      const refused = (list: Promise<unknown>) => expect(list).rejects.toMatchObject({ code: 'invalid_cursor' });
      for (const other of others) await refused(catalog.listFolder({ ...query, ...other }));
      const deep = Array.from({ length: 200 }, () => ['', 1]);
      const made = [[[['f', 'x']], null, null], [1, null, null], [deep, null, null], []].map((at) =>
        encode([kind, at]),
      );
      for (const given of [cursor, ...made])
        await refused(catalog.listBelow({ owner: 'ann', folder: 'a', limit: 1, cursor: given }));
      for (let id = 1; id <= 5; id++) {
        const way = encode([kind, [[['', id]], null, null]]);
        const page = await catalog.listBelow({ owner: 'ann', folder: 'a', limit: 10, cursor: way });
        expect(names(page?.files ?? []).filter((name) => name.includes('bob'))).toEqual([]);
      }
    });

    it('move with all that is below them, and nothing is written for each file', async () => {
      const { catalog } = current();
      const deep = await add(catalog, 'a/b/c/x', 3);
      await add(catalog, 'a/y', 4);
      await add(catalog, 'd/z of twelve', 5);
      const before = await catalog.latestEvent('ann');
      const move = async (from: string, to: string): Promise<FolderRecord | string> => {
        const outcome = await catalog.moveFolder('ann', from, to);
        return outcome.kind === 'moved' ? outcome.folder : outcome.kind;
      };
      expect(await move('a/b', 'd/new/b2')).toEqual({ path: 'd/new/b2', files: 1, bytes: 3 });
      expect((await catalog.findFile(deep.id, 'ann'))?.name).toBe('d/new/b2/c/x');
      expect(await level(catalog, '')).toEqual([
        ['a', 1, 4],
        ['d', 2, 8],
      ]);
      expect(await move('a', 'A')).toEqual({ path: 'A', files: 1, bytes: 4 });
      expect(await move('d/new', 'new')).toMatchObject({ path: 'new', files: 1 });
      expect(await level(catalog, '')).toEqual([
        ['A', 1, 4],
        ['d', 1, 5],
        ['new', 1, 3],
      ]);
      expect(await move('new/b2/c', 'c')).toMatchObject({ files: 1 });
      // It took along what was left of its way.
      expect(await level(catalog, '')).toEqual([
        ['A', 1, 4],
        ['c', 1, 3],
        ['d', 1, 5],
      ]);
      expect(await move('c', 'c')).toMatchObject({ path: 'c' });
      expect(await move('c', 'd')).toBe('taken');
      expect(await move('c', 'c/below')).toBe('inside');
      expect(await move('absent', 'e')).toBe('not_found');
      expect(await catalog.moveFolder('bob', 'c', 'e')).toEqual({ kind: 'not_found' });
      expect(await move('c', 'e/'.repeat(99) + 'e')).toMatchObject({ files: 1 });
      expect(await move('d', `${'e/'.repeat(99)}e/d`)).toBe('too_long');
      const long = 'ü'.repeat(255);
      expect(await move('d', Array.from({ length: 8 }, () => long).join('/'))).toBe('too_long');
      expect(await move('d', Array.from({ length: 7 }, () => long).join('/'))).toMatchObject({ files: 1 });
      const events = (await catalog.listEvents({ owner: 'ann', after: before, limit: 100 })) ?? [];
      expect(events.slice(0, 2).map((event) => event.kind === 'moved' && [event.owner, event.from, event.to])).toEqual([
        ['ann', 'a/b', 'd/new/b2'],
        ['ann', 'a', 'A'],
      ]);
      expect(events).toHaveLength(6);
    });

    it('are counted as a recount would, whatever happens', async () => {
      const { catalog } = current();
      const random = chances(7);
      const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
      const path = () => Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(['a', 'b', 'c'])).join('/');
      const files = new Map<string, FileRecord>();
      for (let step = 0; step < 120; step++) {
        const victim = pick([...files.keys()]) ?? '';
        const what = random();
        if (what < 0.45) {
          const file = await add(catalog, path(), 1 + step);
          files.set(file.id, file);
        } else if (what < 0.6) await catalog.renameFile(victim, 'ann', path(), null);
        else if (what < 0.75) await catalog.moveFolder('ann', path(), path());
        else if (what < 0.95) {
          await catalog.deleteFile(victim, 'ann');
          files.delete(victim);
        } else await catalog.deleteBelow('ann', path());
        if (step % 10 === 9) await expectCounted(catalog, 'ann');
      }
      expect((await catalog.totalOf('ann')).files).toBeGreaterThan(5);
    });
  });
}

/** Compares the totals of all folders with what the files themselves say. */
export async function expectCounted(catalog: Catalog, owner: string): Promise<void> {
  const { files } = await catalog.listFiles({ owner, limit: 1000, sort: 'name', descending: false });
  const counted = new Map<string, [files: number, bytes: number]>();
  for (const { name, content } of files) {
    const parts = name.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      const [sum, bytes] = counted.get(path) ?? [0, 0];
      counted.set(path, [sum + 1, bytes + content.size]);
    }
  }
  const found = new Map<string, [number, number]>();
  const walk = async (folder: string): Promise<void> => {
    const query = { owner, folder, limit: 1000, sort: 'name', descending: false } as const;
    for (const below of (await catalog.listFolder(query))?.folders ?? []) {
      found.set(below.path, [below.files, below.bytes]);
      await walk(below.path);
    }
  };
  await walk('');
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(counted));
  expect(new Set(names(files)).size).toBe(files.length);
}

/** Numbers from 0 to 1, always the same ones (mulberry32). */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
