/** How SQLite runs the catalog's queries: through indexes, and undone whole when there is no room. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../server/catalog/sqlite/database.ts';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog, FileSort } from '../../server/catalog/catalog.ts';
import { createCatalog } from '../../server/catalog/create-catalog.ts';
import type { Tables } from '../../server/catalog/schema.ts';
import { createSqliteDialect } from '../../server/catalog/sqlite/driver.ts';
import { createClock } from '../../server/catalog/sqlite/clock.ts';
import { createSqlClock } from '../../server/catalog/sqlite/sql-clock.ts';
import { createNodeTables } from '../../server/catalog/sqlite/node-tables.ts';
import { bringUpToDate, openDatabase } from '../../server/catalog/sqlite/open.ts';
import { T0, timeBy, addPublished, addUpload, commitTo, md5Of, newContent, newFile, nextLease } from './fixtures.ts';

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
    catalog = createCatalog(
      new Kysely<Tables>({
        dialect: createSqliteDialect(database, { check: () => undefined, onWrite: () => undefined }),
      }),
      {
        nodes: { clock: createSqlClock(clock), isShared: true },
        clock,
        keepTime: nothing,
        durable: nothing,
        ping: nothing,
        close: nothing,
      },
    );
  });

  afterEach(async () => {
    database.close();
    await rm(folder, { recursive: true });
  });

  /** Calls every method of the catalog, and each of the ways a method can go. */
  async function callEverything(): Promise<void> {
    const part = { number: 1, start: 0, size: 100, etag: 'e', snapshot: Buffer.from('s') };
    const md5 = md5Of('c');
    const id = await addUpload(catalog, { md5, size: null });
    await nextLease(catalog, id);
    await catalog.declareLength(id, 2, 100);
    await catalog.commitOffset(commitTo(id, 10, { epoch: 2 }));
    await catalog.commitOffset(commitTo(id, 100, { epoch: 2, part }));
    await catalog.listParts(id);
    await catalog.findReceiving({ md5, owner: 'ann', size: null, sha256: null, minOffset: 0 });
    await catalog.findReceiving({ md5, owner: null, size: 1, sha256: null, minOffset: 1 });
    await catalog.listExpired(null, 10);
    await catalog.listUnpublished(null, 10);
    await catalog.filterReceiving([id, 'another']);
    const { content } = await addPublished(catalog, newContent('c'));
    await addPublished(catalog, { id: content.id });
    const again = await addUpload(catalog, { size: null });
    await catalog.publish({
      uploadId: again,
      epoch: 1,
      content: { id: content.id },
      file: newFile(),
      reuseFile: true,
    });
    await addPublished(catalog, { id: content.id, key: 'healed' });
    await catalog.findUpload(id);
    await catalog.endUpload(id, 2, 'terminated', null);
    await catalog.forgetEnded(0, 10);
    await catalog.findContents({ md5 });
    await catalog.findContents({ sha1: 'a' });
    await catalog.findContents({ sha256: 'a' });
    await catalog.ownsContent('ann', content.id);
    await catalog.addDigests(content.id, { sha1: 'a' });
    const file = await catalog.addFile(content.id, newFile({ name: 'new' }));
    await catalog.findFile(file?.id ?? '', 'ann');
    await catalog.findFile(file?.id ?? '', null);
    await catalog.findFileOfContent(content.id, 'ann', 'oldest');
    await catalog.findFileOfContent(content.id, 'ann', 'latest');
    await catalog.renameFile(file?.id ?? '', 'ann', 'newer', null);
    for (const sort of ['uploaded', 'name', 'size'] satisfies FileSort[]) {
      for (const descending of [false, true]) {
        for (const search of [{}, { search: 'A.' }]) {
          const query = { owner: 'ann', limit: 1, sort, descending, ...search };
          const { nextCursor } = await catalog.listFiles({ ...query });
          await catalog.listFiles({ ...query, cursor: nextCursor ?? '' });
        }
      }
    }
    const { files } = await catalog.listFiles({ owner: 'ann', limit: 10, sort: 'name', descending: false });
    for (const each of files) await catalog.deleteFile(each.id, 'ann');
    const [removal] = await catalog.listRemovals(0, 10);
    await catalog.isRemovalDue(removal?.key ?? '');
    await catalog.removalDone(removal?.key ?? '');
    for (const owner of ['ann', null]) {
      await catalog.listEvents({ owner, after: 0, limit: 10 });
      await catalog.latestEvent(owner);
    }
    await catalog.forgetEvents(0, 10);
    await callLeases();
  }

  async function callLeases(): Promise<void> {
    await catalog.joinNode('a');
    await catalog.beatNode('a');
    await catalog.isNodeAlive('a');
    const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
    await catalog.markPublishing(id, 1);
    await catalog.noteArrival(id, 1, 0);
    await catalog.releaseLease(id, 1, { isRecovered: true });
    await catalog.listAbandoned(null, 10);
    await catalog.claim('work', 'a', 10);
    await catalog.unclaim('work', 'a');
    await catalog.leaveNode('a');
    await catalog.forgetNodes();
  }

  /** The steps SQLite takes for a query. */
  function planOf(sql: string): string[] {
    const values = [...sql.matchAll(/\?/g)].map(() => null);
    const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as Array<{ detail: string }>;
    return steps.map(({ detail }) => detail);
  }

  // The plan of a deletion includes what the foreign keys do.
  it('reach their rows through an index, in its order', async () => {
    await callEverything();
    const queries = [...statements].filter((sql) => /^(select|update|delete|insert)/i.test(sql));
    expect(queries.length).toBeGreaterThan(40);
    for (const sql of queries) {
      for (const detail of planOf(sql)) {
        // The oldest removals are the first rows of their table, taken up to a limit.
        if (detail === 'SCAN removals' && sql.endsWith('order by "id" limit ?')) continue;
        // There are few of either, and both are in memory.
        if (detail === 'SCAN nodes' || detail === 'SCAN claims') continue;
        // The unpublished are all of their partial index.
        if (detail === 'SCAN uploads USING INDEX uploads_unpublished') continue;
        // Of values that are given.
        if (detail === 'SCAN CONSTANT ROW') continue;
        expect(detail, sql).toMatch(/^(SEARCH|(CORRELATED )?SCALAR SUBQUERY|LIST SUBQUERY)/);
      }
    }
  });

  it('scan nothing of which one owner can make thousands', async () => {
    await callEverything();
    const planLike = (words: RegExp): string[] => {
      const found = [...statements].filter((sql) => words.test(sql));
      expect(found, String(words)).not.toHaveLength(0);
      return found.flatMap(planOf).filter((step) => / (files|uploads) /.test(step));
    };
    // Files of one content by other names.
    expect(planLike(/"files"\."content_id" = \? and "files"\."owner" = \? and "files"\."name" = \?/)).toEqual([
      'SEARCH files USING INDEX files_by_content_owner_name (content_id=? AND owner=? AND name=?)',
    ]);
    // Open uploads of one MD5, of others too: the newest first, and no row is read of those that do not fit.
    expect(planLike(/^select.*from "uploads".*"md5" = \?.*"owner" = \?/)).toEqual([
      'SEARCH uploads USING INDEX uploads_receiving_by_owner_and_md5 (owner=? AND md5=?)',
    ]);
    expect(planLike(/^select.*from "uploads".*"md5" = \?.*desc limit 1$/)).toContain(
      'SEARCH uploads USING INDEX uploads_receiving_by_md5 (md5=?)',
    );
    expect(planLike(/^insert into "uploads"/)).toEqual([
      'SEARCH uploads USING COVERING INDEX uploads_receiving_by_owner (owner=?)',
    ]);
    // Names and patterns that repeat themselves make LIKE slow.
    expect([...statements].filter((sql) => /\blike\b/i.test(sql))).toEqual([]);
  });

  it('sort each listing by its own index', async () => {
    await callEverything();
    const listings = [...statements].filter((sql) => /where "files"\."owner" = \? .*order by/.test(sql));
    expect(listings).toHaveLength(24);
    for (const sql of listings) {
      const [first] = planOf(sql);
      const [, column] = /order by "files"\."(\w+)"/.exec(sql) ?? [];
      const index = INDEX_OF[column ?? ''];
      expect(first, sql).toContain(`USING INDEX ${index} (owner=?`);
      // A later page begins where its cursor points, and passes over nothing before it.
      expect(first?.includes(`${column},id)`), sql).toBe(/\) [<>] \(/.test(sql));
    }
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
