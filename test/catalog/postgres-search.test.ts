/** Searches among more files than the first look goes through, in PostgreSQL: each of the ways in which they are found. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Catalog, FileQuery, FileRecord, FileSort } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { foldName } from '../../server/catalog/queries/file-rows.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';

/** In each order the first 2,500 names have nothing that is looked for but ".txt". The files of bob have the same names. */
const FILL = `
  insert into contents (md5, size, variant, key, published_at)
    select md5(n::text), n, 0, n::text, n from generate_series(1, 8200) as n;
  insert into files (id, owner, name, folded_name, uploaded_at, content_id, size)
    select owner || n, owner, name, lower(name), n, contents.id, n
    from generate_series(1, 8200) as n join contents on contents.size = n,
      (values ('ann'), ('bob')) as owners (owner),
      lateral (select case
        when n <= 2500 then 'a ' || n || '.txt'
        when n = 4000 then 'b 100%_of\\it.txt'
        when n = 4002 then 'b lolol.txt'
        when n % 2500 = 1 then 'b Rare-' || n || '.txt'
        when n % 2500 = 2 then 'c 报告' || n || '.txt'
        when n % 2500 = 3 then 'c qx' || n || '.txt'
        when n % 40 = 4 then 'd some ' || n || '.txt'
        else 'e tide ' || n || '.txt' end) as of (name)
    where owner = 'ann' or n % 2 = 0
    order by n desc;
  analyze`;
/** In few names, in some, in more than are sorted, in all, in none; short ones; signs of patterns; pieces of a name in another order. */
const PARTS = [
  'rare',
  'RARE-',
  'some',
  'tide',
  '.txt',
  'absent',
  'xt.',
  'qx',
  '报告',
  '报告5',
  '报',
  '%_',
  '100%_of\\it',
  'ololol',
];

describe.skipIf(!hasPostgres())('searches among many files in PostgreSQL', () => {
  let database: TestDatabase;
  let catalog: Catalog;

  beforeAll(async () => {
    database = await createDatabase();
    catalog = await openPostgresCatalog({ url: database.url });
    await database.run(FILL);
  });

  afterAll(async () => {
    await catalog?.close();
    await database?.drop();
  });

  /** All pages of a listing, or the first two. */
  async function pages(query: FileQuery, mostPages: number): Promise<FileRecord[]> {
    const files: FileRecord[] = [];
    let cursor: string | null | undefined;
    for (let page = 0; page < mostPages && cursor !== null; page++) {
      const found = await catalog.listFiles(cursor === undefined ? query : { ...query, cursor });
      files.push(...found.files);
      cursor = found.nextCursor;
    }
    return files;
  }

  for (const sort of ['uploaded', 'name', 'size'] satisfies FileSort[]) {
    it.each([false, true])(`find what a look at each name finds, by ${sort}, descending: %s`, async (descending) => {
      const query = { owner: 'ann', sort, descending };
      const all = await pages({ ...query, limit: 1_000 }, 10);
      expect(all).toHaveLength(8_200);
      for (const search of PARTS) {
        const matching = all.filter(({ name }) => foldName(name).includes(foldName(search)));
        const found = await pages({ ...query, search, limit: 4 }, 2);
        expect(
          found.map(({ name }) => name),
          search,
        ).toEqual(matching.slice(0, 8).map(({ name }) => name));
      }
    });
  }

  it('find a file by its new name as soon as it is renamed, and not by the one before', async () => {
    const find = (search: string) =>
      catalog.listFiles({ owner: 'ann', sort: 'uploaded', descending: false, limit: 1, search });
    await catalog.renameFile('ann8000', 'ann', 'Spindrift.txt', null);
    expect((await find('indrif')).files.map(({ id }) => id)).toEqual(['ann8000']);
    expect((await find('tide 8000')).files).toEqual([]);
  });
});
