/** How PostgreSQL runs the catalog's queries: through indexes, each listing in the order of its own. */
import { Kysely } from 'kysely';
import { Client, Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCatalog, type DialectMethods } from '../../server/catalog/create-catalog.ts';
import { createSqlClock, DATABASE_NOW, followClock } from '../../server/catalog/postgres/clock.ts';
import { connectTo } from '../../server/catalog/postgres/connect.ts';
import { postgresQueries } from '../../server/catalog/postgres/dialect.ts';
import { createPostgresDialect } from '../../server/catalog/postgres/driver.ts';
import { createPostgresQuotas } from '../../server/catalog/postgres/quotas.ts';
import { migrate } from '../../server/catalog/postgres/migrate.ts';
import { withFunctions } from '../../server/catalog/postgres/with-functions.ts';
import { withNumberedEvents } from '../../server/catalog/postgres/with-numbered-events.ts';
import type { Tables } from '../../server/catalog/schema.ts';
import { withQuotas } from '../../server/catalog/with-quotas.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { callEverything, callWithQuotas, SOME_QUOTA } from './call-everything.ts';

/** As many rows as make it worthwhile to use an index, of many owners. */
const FILL = `
  insert into contents (md5, sha1, sha256, size, variant, key, published_at)
    select md5(n::text), case when n % 9 > 0 then md5(n::text) end, md5(n::text), n, 0, 'key ' || n, n
    from generate_series(1, 5000) as n;
  insert into folders (owner, parent_id, name, folded_name)
    select 'owner ' || n % 100, 0, 'folder ' || n, 'folder ' || n from generate_series(1, 5000) as n;
  insert into files (id, owner, name, folded_name, uploaded_at, content_id, size, folder_id)
    select 'file ' || n, 'owner ' || n % 100, 'name ' || n, 'name ' || n, n, id, size, case when n % 3 = 0 then n end
      from contents, lateral (select id) as by (n);
  insert into uploads (id, owner, state, size, md5, metadata, "offset", epoch, phase, file_id, store_state, created_at,
      last_byte_at, expires_at, ended_at, link_id)
    select 'upload ' || n, 'owner ' || n % 100, state, 100, md5((n / 2)::text), '', case when n % 50 = 0 then 100 else 1 end, 1, null,
      case state when 'complete' then 'file ' || (select id from contents offset n % 5000 limit 1) end,
      case when n % 20 = 0 then 'kept' end, n, n, n, case state when 'expired' then n end,
      case when n % 5 = 0 then 'link ' || n / 10 end
    from generate_series(1, 6000) as n,
      lateral (select (array['receiving', 'complete', 'expired'])[n % 3 + 1]) as of (state);
  insert into parts select 'upload ' || n / 10 + 1, n, n, n, '', '' from generate_series(1, 5000) as n;
  insert into final_partials select 'upload ' || n % 3000 + 1, n, 'upload ' || n % 2000 + 1 from generate_series(1, 5000) as n;
  insert into removals (key) select 'gone ' || n from generate_series(1, 5000) as n;
  insert into links (id, owner, kind, secret_hash, created_at, expires_at)
    select 'link ' || n, 'owner ' || n % 100, 'download', md5(n::text), n, n from generate_series(1, 5000) as n;
  insert into link_files select 'link ' || n / 5 + 1, n, 'file ' || id
    from generate_series(1, 5000) as n, lateral (select id from contents offset n - 1 limit 1) as of (id);
  insert into link_folders select 'link ' || n / 5 + 1, 5000 + n, n from generate_series(1, 5000) as n;
  insert into trash (id, owner, name, uploaded_at, content_id, size, deleted_at, deletion, depth)
    select 'trashed ' || n, 'owner ' || n % 100, 'name', n, id, size, n, 'deletion ' || n / 50, 1
      from contents, lateral (select id) as by (n);
  insert into trash_links select 'link ' || n / 5 + 1, n, 'trashed ' || n from generate_series(1, 4990) as n;
  insert into trash_link_folders select 'trashed ' || n, 'link ' || n / 5 + 1, 5000 + n, 1 from generate_series(1, 4990) as n;
  insert into events (owner, kind, at, file_id, name, uploaded_at, content_id, md5, size)
    select 'owner ' || n % 100, 'renamed', n, 'file ' || n, '', n, n, '', n from generate_series(1, 5000) as n;
  update events set number = id;
  update event_numbers set last = 5000;
  insert into nodes (id, name, version, is_alone, started_at, seen_at)
    select 'node ' || n, '', '', 0, 0, 0 from generate_series(1, 5) as n;
  insert into asks select 'node ' || n % 5 + 1, 'upload ' || n, 'commit', 1 from generate_series(1, 5000) as n;
  insert into forgotten_events select 'owner ' || n, n from generate_series(1, 5000) as n;
  analyze`;

/** Autovacuum may look at a table at a moment when it is all but empty, and from then on the planner would read all of it. */
const KEEP_STATISTICS = `do $$ declare name text; begin
  for name in select tablename from pg_tables where schemaname = 'public' loop
    execute format('alter table %I set (autovacuum_enabled = false)', name);
  end loop; end $$`;

/** A step of a plan, as EXPLAIN writes it. */
interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: PlanNode[];
}

/** Of one row each, of a few, or as few as there are nodes. */
const SMALL = ['event_numbers', 'nodes', 'claims', 'meta'];
/** All that is in these is what is asked for, in their order and up to a limit. */
const WHOLE = [
  'uploads_unpublished',
  'events_without_number',
  'uploads_to_discard',
  'forgotten_events_by_number',
  'final_partials_first',
];

describe.skipIf(!hasPostgres())('queries of a catalog in PostgreSQL', () => {
  let database: TestDatabase;
  let statements: string[];
  /** By statement. */
  let parameters: Map<string, unknown[]>;
  let planner: Client;

  beforeEach(async () => {
    database = await createDatabase();
    const { connection, name, close } = connectTo(database);
    await close();
    const pool = new Pool({ ...connection, ssl: false });
    parameters = new Map();
    const db = new Kysely<Tables>({
      dialect: createPostgresDialect(pool, name),
      log: ({ query: { sql, parameters: values } }) => {
        if (!parameters.has(sql.trim())) parameters.set(sql.trim(), [...values]);
      },
    });
    await migrate(db, name);
    parameters.clear();
    await database.run(KEEP_STATISTICS);
    await database.run(FILL);
    const nothing = async (): Promise<void> => undefined;
    const methods: DialectMethods = {
      nodes: { clock: createSqlClock(DATABASE_NOW), isShared: true },
      queries: postgresQueries,
      clock: followClock(db, DATABASE_NOW).clock,
      keepTime: nothing,
      durable: nothing,
      ping: nothing,
      close: nothing,
    };
    const over = (on: Kysely<Tables>) => withFunctions(createCatalog(on, methods), on, DATABASE_NOW);
    await callEverything(withNumberedEvents(over(db), db));
    const dialect = createPostgresQuotas(db, 2);
    const quotas = { db, clock: methods.nodes.clock, dialect, quotaOf: () => SOME_QUOTA, over };
    await callWithQuotas(withQuotas(over(db), quotas));
    statements = [...parameters.keys()].filter((sql) => /^(select|update|delete|insert|with)/.test(sql));
    await pool.end();
    planner = new Client({ connectionString: database.url });
    await planner.connect();
  });

  afterEach(async () => {
    await planner.end();
    await database.drop();
  });

  /** The steps of its plan with the values that it was first run with, as the server makes one for each run. */
  async function planOf(sql: string): Promise<PlanNode[]> {
    const { rows } = await planner.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
      `explain (format json) ${sql}`,
      parameters.get(sql),
    );
    const steps: PlanNode[] = [];
    const collect = (node: PlanNode): void => {
      steps.push(node);
      for (const below of node.Plans ?? []) collect(below);
    };
    for (const { Plan } of rows[0]?.['QUERY PLAN'] ?? []) collect(Plan);
    return steps;
  }

  it('reach their rows through an index', async () => {
    expect(statements.length).toBeGreaterThan(60);
    for (const sql of statements) {
      // It looks at all that are receiving, as the contract says.
      if (sql.includes(`"phase" = 'unrecovered' or`) && sql.startsWith('select')) continue;
      // A list is joined to so few rows by reading all of them; it has to be able to do otherwise.
      const isList =
        sql.includes('jsonb_to_recordset') ||
        sql.includes('with recursive "up"') ||
        sql.startsWith('with recursive inside') ||
        sql.includes('"trash"."id" in ($1, $2');
      for (const way of ['hashjoin', 'mergejoin', 'seqscan'])
        await planner.query(`set enable_${way} = ${isList ? 'off' : 'on'}`);
      for (const step of await planOf(sql)) {
        const table = step['Relation Name'] ?? '';
        if (SMALL.includes(table) || WHOLE.includes(step['Index Name'] ?? '')) continue;
        expect(step['Node Type'], sql).not.toBe('Seq Scan');
        if (/Index.*Scan/.test(step['Node Type']))
          expect(step['Index Cond'], `${step['Index Name']}: ${sql}`).toBeDefined();
      }
    }
  });

  it('sort nothing: each listing goes along an index, and a later page begins within it', async () => {
    // A few rows are as well sorted: what is sorted in spite of this always has to be.
    for (const way of ['sort', 'bitmapscan']) await planner.query(`set enable_${way} = off`);
    // What the index of names finds is sorted: so many at most.
    // Of files at the top that are few, and of those that are locked in their order, all are sorted.
    const listings = statements.filter(
      (sql) => / order by /.test(sql) && !/^with|materialized|at_top|for update$/.test(sql),
    );
    expect(listings.length).toBeGreaterThan(30);
    for (const sql of listings) {
      const steps = await planOf(sql);
      expect(
        steps.map((step) => step['Node Type']).filter((type) => type === 'Sort'),
        sql,
      ).toEqual([]);
      if (!/^select .* from "files" .*order by "files"\."(uploaded_at|folded_name|size)"/.test(sql)) continue;
      const [, column] = /order by "files"\."(\w+)"/.exec(sql) ?? [];
      const scan = steps.find((step) => step['Relation Name'] === 'files');
      if (sql.includes('"content_id" = $')) continue;
      expect(scan?.['Index Cond']?.includes(`ROW(${column}, id)`), sql).toBe(/\) [<>] \(/.test(sql));
    }
  });

  it('find a part of a name by the index of names', async () => {
    await database.run(`insert into files (id, owner, name, folded_name, uploaded_at, content_id, size)
      select 'more ' || n, 'ann', 'name ' || n, 'name ' || n, n, (select id from contents limit 1), n
      from generate_series(1, 3000) as n; analyze`);
    // Three orders in both directions. What is left for a later page may be so little that another index is better.
    const searches = statements.filter((sql) => /materialized/.test(sql) && !/\) [<>] \(/.test(sql));
    expect(searches).toHaveLength(6);
    for (const sql of searches) {
      const indexes = (await planOf(sql)).map((step) => step['Index Name']);
      expect(indexes, sql).toContain('files_by_name_pieces');
    }
  });
});
