/** Listings of files: order, pages, search, cursors. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { FileQuery, FileRecord, FileSort } from '../../server/catalog/catalog.ts';
import { foldName } from '../../server/wire/fold-name.ts';
import type { Current } from './contract.ts';
import { T0, addPublished, newContent } from './fixtures.ts';

const SORTS: FileSort[] = ['uploaded', 'name', 'size'];

/** Names that sort, match and quote in different ways; some sizes and times are equal. */
const NAMES = ['b.txt', 'B.txt', 'a.txt', 'Ä.txt', '100%.txt', '100_.txt', '1000.txt', 'back\\slash', 'Zoo', '名.txt'];

const byName = { sort: 'name', descending: false, limit: 100 } as const satisfies Partial<FileQuery>;

export function describeListings(current: Current): void {
  describe('listings', () => {
    let files: FileRecord[];

    beforeEach(async () => {
      const { catalog, clock } = current();
      files = [];
      for (const [index, name] of NAMES.entries()) {
        const content = newContent(name, { size: 10 * (index % 4) });
        clock.nowMs = T0 + (index % 3);
        files.push(await addPublished(catalog, content, { name }));
      }
      await addPublished(catalog, newContent('of bob'), { owner: 'bob', name: 'b.txt' });
    });

    function sorted(sort: FileSort, descending: boolean): string[] {
      const value = (file: FileRecord) => {
        if (sort === 'size') return file.content.size;
        return sort === 'uploaded' ? file.uploadedAt : foldName(file.name);
      };
      const ascending = [...files].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === y) return a.id < b.id ? -1 : 1;
        return x < y ? -1 : 1;
      });
      return (descending ? ascending.reverse() : ascending).map((file) => file.id);
    }

    for (const sort of SORTS) {
      for (const descending of [false, true]) {
        it(`go page after page by ${sort}, ${descending ? 'descending' : 'ascending'}`, async () => {
          const { catalog } = current();
          const seen: string[] = [];
          let cursor: string | null = null;
          do {
            const query = { owner: 'ann', limit: 3, sort, descending };
            const page = await catalog.listFiles(cursor === null ? query : { ...query, cursor });
            expect(page.files.length).toBeLessThanOrEqual(3);
            seen.push(...page.files.map((file) => file.id));
            cursor = page.nextCursor;
          } while (cursor !== null);
          expect(seen).toEqual(sorted(sort, descending));
        });
      }
    }

    it('hold whole records, and no cursor after the last page', async () => {
      const { catalog } = current();
      const query = { owner: 'ann', sort: 'uploaded', descending: true } as const;
      const all = await catalog.listFiles({ ...query, limit: NAMES.length });
      expect(all.nextCursor).toBeNull();
      expect(all.files).toEqual(expect.arrayContaining(files));
      expect(await catalog.listFiles({ ...query, owner: 'eve', limit: 10 })).toEqual({
        files: [],
        nextCursor: null,
      });
    });

    it('stay in place when files come and go between two pages', async () => {
      const { catalog } = current();
      const query = { owner: 'ann', limit: 4, sort: 'name', descending: false } as const;
      const first = await catalog.listFiles(query);
      const [gone] = first.files;
      const last = first.files.at(-1);
      if (!gone || !last || first.nextCursor === null) throw new Error('a first page of four was expected');
      await catalog.deleteFile(gone.id, 'ann');
      await catalog.deleteFile(last.id, 'ann');
      await addPublished(catalog, newContent('new'), { name: '0 in front' });
      const second = await catalog.listFiles({ ...query, cursor: first.nextCursor });
      expect(second.files.map((file) => file.id)).toEqual(sorted('name', false).slice(4, 8));
    });

    it('search for text as it is, whatever its signs mean to a pattern', async () => {
      const { catalog } = current();
      const found = async (search: string) => {
        const query = { owner: 'ann', limit: 100, sort: 'name', descending: false } as const;
        return (await catalog.listFiles({ ...query, search })).files.map((file) => file.name).sort();
      };
      expect(await found('B.T')).toEqual(['B.txt', 'b.txt']);
      expect(await found('0%')).toEqual(['100%.txt']);
      expect(await found('0_')).toEqual(['100_.txt']);
      expect(await found('k\\s')).toEqual(['back\\slash']);
      expect(await found('0%.')).toEqual(['100%.txt']);
      expect(await found('00_')).toEqual(['100_.txt']);
      expect(await found('名')).toEqual(['名.txt']);
      expect(await found("'")).toEqual([]);
      expect(await found('')).toHaveLength(NAMES.length);
    });

    it('search page after page', async () => {
      const { catalog } = current();
      const query = { owner: 'ann', limit: 2, sort: 'size', descending: true, search: '.txt' } as const;
      const seen: string[] = [];
      let page = await catalog.listFiles(query);
      seen.push(...page.files.map((file) => file.id));
      while (page.nextCursor !== null) {
        page = await catalog.listFiles({ ...query, cursor: page.nextCursor });
        seen.push(...page.files.map((file) => file.id));
      }
      const matching = new Set(files.filter((file) => file.name.endsWith('.txt')).map((file) => file.id));
      expect(seen).toEqual(sorted('size', true).filter((id) => matching.has(id)));
    });

    it('search for parts of any length, in any letter case, with accents or without, in all scripts', async () => {
      const { catalog } = current();
      const names = [
        'Übergrößen.PDF',
        'ubergrossen of nobody',
        'cafe\u0301.md',
        'İstanbul ısı.txt',
        'ΟΔΟΣ.txt',
        'Ёлка.txt',
        'が.txt',
        'か.txt',
        '한글 문서.hwp',
        '季度报告.docx',
        'ｆｕｌｌ ﬁle.txt',
        'हिन्दी.txt',
        "it's \\ 'quoted' & | ! <-> :*.txt",
        'مَرْحَبًا.txt',
        '🙂🙃.txt',
        'of some ㍿ and ½.txt',
      ];
      const owner = 'carol';
      for (const [index, name] of names.entries())
        await addPublished(catalog, newContent(`c ${index}`), { owner, name });
      const found = async (search: string): Promise<string[]> => {
        const { files: page, nextCursor } = await catalog.listFiles({ ...byName, owner, search });
        expect(nextCursor).toBeNull();
        return page.map(({ name }) => name);
      };
      for (const search of ['übergrößen', 'UBERGROSSEN', 'u\u0308bergrö', 'gröss', 'GRÖẞEN'])
        expect(await found(search), search).toEqual(['ubergrossen of nobody', 'Übergrößen.PDF']);
      for (const [search, name] of [
        ['CAFÉ', 'cafe\u0301.md'],
        ['cafe.', 'cafe\u0301.md'],
        ['istanbul ISI', 'İstanbul ısı.txt'],
        ['οδος', 'ΟΔΟΣ.txt'],
        ['дос', undefined],
        ['ЕЛКА', 'Ёлка.txt'],
        ['が', 'が.txt'],
        ['か\u3099', 'が.txt'],
        ['か', 'か.txt'],
        ['한글', '한글 문서.hwp'],
        ['한글'.normalize('NFD'), '한글 문서.hwp'],
        ['서.', '한글 문서.hwp'],
        ['季度', '季度报告.docx'],
        ['报', '季度报告.docx'],
        ['full file', 'ｆｕｌｌ ﬁle.txt'],
        ['हिन्दी', 'हिन्दी.txt'],
        ['مرحبا', 'مَرْحَبًا.txt'],
        ["'quoted' & | ! <-> :*", names[12]],
        ["\\ '", names[12]],
        [':*', names[12]],
        ['!', names[12]],
        ["'t", undefined],
        ["'s", names[12]],
        ['🙃', '🙂🙃.txt'],
        ['🙂🙃.', '🙂🙃.txt'],
        ['㍿', names[15]],
        ['㍿ a', names[15]],
        ['½', names[15]],
        ['1⁄2', names[15]],
        ['wp', '한글 문서.hwp'],
        ['pw', undefined],
      ] as const)
        expect(await found(search), search).toEqual(name === undefined ? [] : [name]);
    });

    it('search page after page while files come, go and change their names', async () => {
      const { catalog } = current();
      const owner = 'dave';
      const query = { ...byName, owner, limit: 2, search: 'tide' };
      const added = async (name: string) => addPublished(catalog, newContent(name), { owner, name });
      for (const name of ['a tide', 'b tide', 'd tide', 'e tide', 'f ebb', 'g tide']) await added(name);
      const first = await catalog.listFiles(query);
      expect(first.files.map(({ name }) => name)).toEqual(['a tide', 'b tide']);
      await added('0 tide');
      await added('c TIDE');
      const rest = await catalog.listFiles({ ...byName, owner });
      const idOf = (name: string): string => rest.files.find((file) => file.name === name)?.id ?? '';
      await catalog.deleteFile(idOf('b tide'), owner);
      await catalog.deleteFile(idOf('d tide'), owner);
      await catalog.renameFile(idOf('f ebb'), owner, 'f tide', null);
      await catalog.renameFile(idOf('e tide'), owner, 'e ebb', null);
      const seen: string[] = [];
      for (let { nextCursor } = first; nextCursor !== null;) {
        const page = await catalog.listFiles({ ...query, cursor: nextCursor });
        seen.push(...page.files.map(({ name }) => name));
        ({ nextCursor } = page);
      }
      expect(seen).toEqual(['c TIDE', 'f tide', 'g tide']);
    });

    it('refuse cursors that are not theirs', async () => {
      const { catalog } = current();
      const query = { owner: 'ann', limit: 2, sort: 'name', descending: false } as const;
      const { nextCursor } = await catalog.listFiles(query);
      if (nextCursor === null) throw new Error('a second page was expected');
      const encode = (fields: unknown) => Buffer.from(JSON.stringify(fields)).toString('base64url');
      const refused = [
        { ...query, sort: 'size', cursor: nextCursor } as const,
        { ...query, descending: true, cursor: nextCursor },
        { ...query, cursor: '' },
        { ...query, cursor: 'no cursor' },
        { ...query, cursor: `${nextCursor}x` },
        { ...query, cursor: nextCursor.slice(0, -1) },
        { ...query, cursor: encode(null) },
        { ...query, cursor: encode({ length: 4 }) },
        { ...query, cursor: encode(['name', false, 'a']) },
        { ...query, cursor: encode(['name', false, 1, 'id']) },
        { ...query, cursor: encode(['name', false, ['a'], 'id']) },
        { ...query, cursor: encode(['name', false, 'a', null]) },
        { ...query, sort: 'size', cursor: encode(['size', false, '10', 'id']) } as const,
        { ...query, sort: 'size', cursor: encode(['size', false, 1.5, 'id']) } as const,
      ];
      for (const each of refused) {
        await expect(catalog.listFiles(each), each.cursor).rejects.toMatchObject({
          name: 'CatalogError',
          code: 'invalid_cursor',
        });
      }
    });
  });
}
