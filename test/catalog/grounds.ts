/** All grounds on which the catalog's contract is tested: one for each dialect. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { Client } from 'pg';
import type { Catalog } from '../../server/catalog/catalog.ts';
import type { Quota } from '../../server/catalog/quotas.ts';
import type { PostgresAddress } from '../../server/catalog/postgres/connect.ts';
import { openPostgresCatalog, type PostgresCatalogOptions } from '../../server/catalog/postgres/open.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { hasPgbouncer, type RunningPgbouncer, startPgbouncer } from '../harness/pgbouncer.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, sharedPort, type TestDatabase } from '../harness/shared-postgres.ts';
import type { CatalogGround, TestCatalog, TestClock } from './contract.ts';
import { T0, timeBy } from './fixtures.ts';

export const CATALOG_GROUNDS: CatalogGround[] = [
  { name: 'SQLite', isHere: true, open: openSqliteGround },
  {
    name: 'PostgreSQL',
    isHere: hasPostgres(),
    open: () => openPostgresGround(({ url }) => ({ url })),
  },
  {
    name: 'PostgreSQL behind PgBouncer',
    isHere: hasPgbouncer(),
    isOtherWay: true,
    open: async () => {
      const bouncer = await sharedBouncer();
      return openPostgresGround(({ url, name }) => ({ url: bouncer.urlOf(name), directUrl: url }));
    },
  },
];

let bouncer: Promise<RunningPgbouncer> | undefined;

/** The one of this process, which it ends with. */
function sharedBouncer(): Promise<RunningPgbouncer> {
  return (bouncer ??= sharedPort().then((port) => startPgbouncer(port)));
}

async function openSqliteGround(): Promise<TestCatalog> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  const file = join(folder, 'catalog.sqlite');
  const clock = { nowMs: T0 };
  const time = timeBy(() => clock.nowMs);
  let catalog = await openNewCatalog({ file, time });
  const others: Catalog[] = [];
  return {
    catalog,
    clock,
    async reopen(quotaOf) {
      await catalog.close();
      catalog = await openSqliteCatalog({ file, time, quotaOf });
      return catalog;
    },
    async openShared() {
      const shared = await openNewCatalog({ file: join(folder, `shared-${others.length}`), isShared: true, time });
      others.push(shared);
      return { catalog: shared, clock };
    },
    async dispose() {
      for (const each of [catalog, ...others]) await each.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** A database with the tables of a catalog and the clock of a test. To copy it costs less than to migrate a new one. */
async function makeTemplate(): Promise<string> {
  const database = await createDatabase();
  // In a schema of its own, where the catalog does not look.
  await database.run(`create schema test; create table test.clock as select ${T0}::bigint as now_ms`);
  await (await openPostgresCatalog({ url: database.url })).close();
  return database.name;
}

let template: Promise<string> | undefined;

async function openPostgresGround(addressOf: (database: TestDatabase) => PostgresAddress): Promise<TestCatalog> {
  const clock = { nowMs: T0 };
  const databases: { database: TestDatabase; clockClient: Client }[] = [];
  const catalogs: Catalog[] = [];
  async function open(
    { database, clockClient }: (typeof databases)[number],
    quotaOf?: (owner: string) => Quota,
  ): Promise<Catalog> {
    const catalog = await openClocked(clockClient, { ...addressOf(database), quotaOf }, clock);
    catalogs.push(catalog);
    return catalog;
  }
  async function create(): Promise<(typeof databases)[number]> {
    const database = await createDatabase(`template ${await (template ??= makeTemplate())}`);
    const clockClient = new Client({ connectionString: database.url });
    // A call fails, and says so.
    clockClient.on('error', () => undefined);
    databases.push({ database, clockClient });
    await clockClient.connect();
    return { database, clockClient };
  }
  const first = await create();
  const catalog = await open(first);
  return {
    catalog,
    clock,
    async reopen(quotaOf) {
      for (const each of catalogs) await each.close();
      return open(first, quotaOf);
    },
    openShared: async () => ({ catalog: await open(await create()), clock }),
    async dispose() {
      for (const each of catalogs) await each.close();
      for (const { database, clockClient } of databases) {
        await clockClient.end();
        await database.drop();
      }
    },
  };
}

/** A catalog whose clock is a row of the database, which is set before each call. */
async function openClocked(clockClient: Client, address: PostgresCatalogOptions, clock: TestClock): Promise<Catalog> {
  let shownMs: number | undefined;
  const catalog = await openPostgresCatalog({
    ...address,
    now: sql<number>`(select now_ms from test.clock)`,
  });
  async function show(): Promise<void> {
    if (shownMs === clock.nowMs) return;
    shownMs = clock.nowMs;
    await clockClient.query(`update test.clock set now_ms = ${shownMs}`);
  }
  const members = Object.entries(catalog).map(([name, member]: [string, unknown]) => [
    name,
    typeof member === 'function' ? (...args: unknown[]) => show().then(() => member(...args) as unknown) : member,
  ]);
  return Object.fromEntries(members) as Catalog;
}
