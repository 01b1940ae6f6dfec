/** How SQLite runs the catalog's queries: through indexes, and undone whole when there is no room. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../server/catalog/sqlite/database.ts';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createCatalog, type DialectMethods } from '../../server/catalog/create-catalog.ts';
import type { Tables } from '../../server/catalog/schema.ts';
import { sqliteQueries } from '../../server/catalog/sqlite/dialect.ts';
import { createSqliteDialect } from '../../server/catalog/sqlite/driver.ts';
import { createClock } from '../../server/catalog/sqlite/clock.ts';
import { sqliteQuotas } from '../../server/catalog/sqlite/quotas.ts';
import { createSqlClock } from '../../server/catalog/sqlite/sql-clock.ts';
import { withQuotas } from '../../server/catalog/with-quotas.ts';
import { createNodeTables } from '../../server/catalog/sqlite/node-tables.ts';
import { openDatabase } from '../../server/catalog/sqlite/connection.ts';
import { bringUpToDate } from '../../server/catalog/sqlite/open.ts';
import { callEverything, callWithQuotas, SOME_QUOTA } from './call-everything.ts';
import { T0, timeBy, addPublished, addUpload, newContent, newFile } from './fixtures.ts';

/** By which index the files of an owner are sorted by a column. */
const INDEX_OF: Record<string, string> = {
  uploaded_at: 'files_by_uploaded',
  folded_name: 'files_by_name',
  size: 'files_by_size',
};

describe('queries of an SQLite catalog', () => {
  let folder: string;
  let database: Database;
  let catalog: Catalog;
  /** The same one, where everybody has a quota. */
  let limited: Catalog;
  let statements: Set<string>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
    database = openDatabase(join(folder, 'catalog.sqlite'));
    bringUpToDate(database);
    const clock = createClock({ source: timeBy(() => T0) });
    createNodeTables(database);
    statements = new Set();
    const prepare = database.prepare.bind(database);
    database.prepare = ((sql: string) => {
      statements.add(sql);
      return prepare(sql);
    }) as typeof database.prepare;
    const nothing = async () => {};
    const db = new Kysely<Tables>({
      dialect: createSqliteDialect(database, { check: () => undefined, onWrite: () => undefined }),
    });
    const methods: DialectMethods = {
      nodes: { clock: createSqlClock(clock), isShared: true },
      queries: sqliteQueries,
      clock,
      keepTime: nothing,
      durable: nothing,
      ping: nothing,
      close: nothing,
    };
    const over = (on: Kysely<Tables>) => createCatalog(on, methods);
    catalog = over(db);
    const quotas = { db, clock: methods.nodes.clock, dialect: sqliteQuotas, quotaOf: () => SOME_QUOTA, over };
    limited = withQuotas(catalog, quotas);
  });

  afterEach(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  /** The steps SQLite takes for a query. */
  function planOf(sql: string): string[] {
    const values = [...sql.matchAll(/\?/g)].map(() => null);
    const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as Array<{ detail: string }>;
    return steps.map(({ detail }) => detail);
  }

  // The plan of a deletion includes what the foreign keys do.
  it('reach their rows through an index, in its order', async () => {
    await callEverything(catalog);
    await callWithQuotas(limited);
    const queries = [...statements].filter((sql) => /^(select|update|delete|insert)/i.test(sql));
    expect(queries.length).toBeGreaterThan(40);
    for (const sql of queries) {
      for (const detail of planOf(sql)) {
        // The oldest removals are the first rows of their table, taken up to a limit.
        if (detail === 'SCAN removals' && sql.endsWith('order by "id" limit +?')) continue;
        // There are few of either, and both are in memory.
        if (detail === 'SCAN nodes' || detail === 'SCAN claims') continue;
        // The unpublished are all of their partial index.
        if (detail === 'SCAN uploads USING INDEX uploads_unpublished') continue;
        // Of each final that is not over, one row.
        if (detail === 'SCAN final_partials USING COVERING INDEX final_partials_first') continue;
        // Of values that are given.
        if (detail === 'SCAN CONSTANT ROW' || detail.startsWith('SCAN json_each') || detail === 'CREATE BLOOM FILTER')
          continue;
        // From a folder up to the top, or down to those below it.
        if (/^(CO-ROUTINE (up|below)|SETUP|RECURSIVE STEP|SCAN (up|below))$/.test(detail)) continue;
        // Whether one of two tables has a row.
        if (/^(COMPOUND QUERY|LEFT-MOST SUBQUERY|UNION ALL)$/.test(detail)) continue;
        // Of few files.
        if (
          detail === 'USE TEMP B-TREE FOR ORDER BY' &&
          /at_top|"uploaded_at" desc, "files"."id" desc limit \+1$/.test(sql)
        )
          continue;
        if (detail === 'USE TEMP B-TREE FOR ORDER BY' && sql.includes('order by "contents"."id"')) continue;
        expect(detail, sql).toMatch(/^(SEARCH|(CORRELATED )?SCALAR SUBQUERY|LIST SUBQUERY)/);
      }
    }
  });

  it('scan nothing of which one owner can make thousands', async () => {
    await callEverything(catalog);
    const ids = Array.from({ length: 512 }, (_, index) => `file ${index}`);
    await catalog.findFiles(ids, 'ann');
    const planLike = (words: RegExp): string[] => {
      const found = [...statements].filter((sql) => words.test(sql));
      expect(found, String(words)).not.toHaveLength(0);
      return found.flatMap(planOf).filter((step) => / (files|uploads) /.test(step));
    };
    // Files of one content by other names.
    expect(planLike(/folder_id" is null and "files"\."name" = \? and "files"\."content_id" = \?/)).toEqual([
      'SEARCH files USING INDEX files_at_top (owner=? AND name=? AND content_id=?)',
    ]);
    expect(planLike(/folder_id" = \? and "files"\."name" = \? and "files"\."content_id" = \?/)).toEqual([
      'SEARCH files USING INDEX files_in_folder (folder_id=? AND name=? AND content_id=?)',
    ]);
    // Files of one content that have the name with a number.
    for (const [place, step] of [
      ['folder_id" is null', 'files_at_top (owner=? AND name>? AND name<?)'],
      ['folder_id" = \\?', 'files_in_folder (folder_id=? AND name>? AND name<?)'],
    ] as const) {
      const numbered = new RegExp(`${place} and "files"\\."name" > \\? and "files"\\."name" < \\?`);
      expect(planLike(numbered)).toEqual([`SEARCH files USING INDEX ${step}`]);
    }
    // Files that were in a folder at the start of its deletion.
    expect(planLike(/"uploaded_at" <= \? and \(uploaded_at, id\) >/)).toEqual([
      'SEARCH files USING INDEX files_in_folder_by_uploaded (folder_id=? AND (uploaded_at,id)>(?,?) AND uploaded_at<?)',
    ]);
    // Files of a folder, each listing in its own order; and those at the top, where they are few.
    for (const [column, order] of Object.entries(INDEX_OF)) {
      const listing = new RegExp(String.raw`files\.folder_id = \?.*order by "files"\."${column}" (asc|desc)`, 's');
      const index = order.replace('files_by', 'files_in_folder_by');
      for (const step of planLike(listing)) expect(step).toContain(`USING INDEX ${index} (folder_id=?`);
    }
    // All files below folders.
    for (const step of planLike(/^with recursive inside/))
      expect(step).toMatch(/^SEARCH files USING INDEX files_in_folder\w* \(folder_id=\?\)$/);
    const ofFew = [...statements].filter((sql) => sql.includes('at_top')).flatMap(planOf);
    expect(ofFew).toContain('SEARCH at_top USING INDEX files_at_top (owner=? AND name>?)');
    // Files by their ids, also where there are many of those.
    const byIds = planLike(/"files"\."id" in \(/);
    expect(new Set(byIds)).toEqual(new Set(['SEARCH files USING INDEX sqlite_autoindex_files_1 (id=?)']));
    // Open uploads of one MD5: the newest first, and no row is read of those that do not fit.
    expect(planLike(/^select.*from "uploads".*"md5" = \?.*"owner" = \?/)).toEqual([
      'SEARCH uploads USING INDEX uploads_receiving_by_owner_and_md5 (owner=? AND md5=?)',
    ]);
    expect(new Set(planLike(/^insert into "uploads"/))).toEqual(
      new Set(['SEARCH uploads USING COVERING INDEX uploads_receiving_by_owner (owner=?)']),
    );
    // Uploads by links.
    for (const step of planLike(/"link_id" = \?.*"state" = 'receiving'/))
      expect(step).toContain('INDEX uploads_receiving_by_link (link_id=?');
    for (const step of planLike(/"link_id" is not null and "state" = 'receiving'/))
      expect(step).toContain('INDEX uploads_receiving_by_link (');
    // Names and patterns that repeat themselves make LIKE slow.
    expect([...statements].filter((sql) => /\blike\b/i.test(sql))).toEqual([]);
  });

  it('sort each listing by its own index', async () => {
    await callEverything(catalog);
    const listings = [...statements].filter((sql) =>
      /where "files"\."owner" = \? (?!and "files"\."folder_id").*order by/.test(sql),
    );
    expect(listings).toHaveLength(24);
    for (const sql of listings) {
      const [first] = planOf(sql);
      const [, column] = /order by "files"\."(\w+)"/.exec(sql) ?? [];
      const index = INDEX_OF[column ?? ''];
      expect(first, sql).toMatch(new RegExp(`USING (COVERING )?INDEX ${index} \\(owner=\\?`));
      // A later page begins where its cursor points, and passes over nothing before it.
      expect(first?.includes(`${column},id)`), sql).toBe(/\) [<>] \(/.test(sql));
    }
  });

  it('read the files at the top by their names where very many others are in folders', async () => {
    const { content } = await addPublished(catalog, newContent('c'), { name: 'f/first' });
    const fill = (name: string, count: number, folderId: string): unknown =>
      database.exec(`INSERT INTO files (id, owner, name, folded_name, uploaded_at, content_id, size, folder_id)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
        SELECT '${name}' || n, 'ann', '${name}' || n, '${name}' || n, n, ${content.id}, 1, ${folderId} FROM numbers`);
    const isByNames = async (): Promise<boolean> => {
      statements.clear();
      const query = { owner: 'ann', folder: '', limit: 100, sort: 'uploaded', descending: true } as const;
      expect((await catalog.listFolder(query))?.files).toHaveLength(99);
      return [...statements].some((sql) => sql.includes('at_top'));
    };
    fill('top ', 2_100, 'NULL');
    fill('below ', 50_000, '(SELECT id FROM folders)');
    expect(await isByNames()).toBe(true);
    fill('more ', 1_000, 'NULL');
    expect(await isByNames()).toBe(false);
  });

  it('are undone whole when the disk is full, and succeed once there is room', async () => {
    const limit = (pages: number) => database.pragma(`max_page_count = ${pages}`);
    const uploadId = await addUpload(catalog);
    limit(database.pragma('page_count', { simple: true }) as number);
    const refusals: unknown[] = [];
    for (let index = 0; refusals.length === 0 && index < 1000; index++) {
      const content = newContent(`c${index}`);
      await addPublished(catalog, content).catch((error: unknown) => refusals.push(error));
    }
    expect(refusals).toMatchObject([{ name: 'CatalogError', code: 'full', cause: { code: 'SQLITE_FULL' } }]);

    const content = newContent('large', { key: 'k'.repeat(100_000) });
    const publication = { uploadId, epoch: 1, content, file: newFile() };
    await expect(catalog.publish(publication)).rejects.toMatchObject({ code: 'full' });
    expect(await catalog.findUpload(uploadId)).toMatchObject({ state: 'receiving' });
    expect(await catalog.findContents({ md5: content.md5 })).toEqual([]);
    limit(1_000_000);
    expect(await catalog.publish(publication)).toMatchObject({ kind: 'published' });
  });
});
