/** Searches among more files than the first look goes through, in PostgreSQL: each of the ways in which they are found. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { expectAllFound, FILES, nameOf } from './search-parts.ts';

const NAMES = JSON.stringify(Array.from({ length: FILES }, (_, index) => nameOf(index + 1)));
/** The files of bob have the same names. */
const FILL = `
  insert into contents (md5, size, variant, key, published_at)
    select md5(n::text), n, 0, n::text, n from generate_series(1, ${FILES}) as n;
  insert into files (id, owner, name, folded_name, uploaded_at, content_id, size)
    select owner || n, owner, name, lower(name), n, contents.id, n
    from jsonb_array_elements_text('${NAMES}') with ordinality as listed (name, n) join contents on contents.size = n,
      (values ('ann'), ('bob')) as owners (owner)
    where owner = 'ann' or n % 2 = 0
    order by n desc`;

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

  it('find what a look at each name finds', () => expectAllFound(catalog));

  it('find a file by its new name as soon as it is renamed, and not by the one before', async () => {
    const find = (search: string) =>
      catalog.listFiles({ owner: 'ann', sort: 'uploaded', descending: false, limit: 1, search });
    await catalog.renameFile('ann8000', 'ann', 'Spindrift.txt', null);
    expect((await find('indrif')).files.map(({ id }) => id)).toEqual(['ann8000']);
    expect((await find('tide 8000')).files).toEqual([]);
  });
});
