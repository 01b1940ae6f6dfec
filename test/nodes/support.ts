/** Several services over one PostgreSQL and one bucket. */
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { startDouble, type SystemBucket } from '../harness/buckets.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { shiftedClock } from '../harness/wrong-settings.ts';

export interface Cluster {
  readonly nodes: readonly RunningService[];
  readonly database: TestDatabase;
  readonly bucket: SystemBucket;
  /** The catalog, to look at. */
  readonly catalog: Catalog;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** Of the database, before the first service has it. */
  prepare?: (database: TestDatabase) => Promise<unknown>;
  /** Settings that differ. */
  env?: NodeJS.ProcessEnv;
  /** The strictest bucket that starts at once, by default. */
  startBucket?: () => Promise<SystemBucket>;
  /** By how much the clock of each service is ahead. */
  clocksAheadMs?: readonly number[];
}

/** Starts so many services. */
export async function startCluster(
  count: number,
  {
    prepare = async () => undefined,
    env: given = {},
    startBucket = startDouble,
    clocksAheadMs = [],
  }: ClusterOptions = {},
): Promise<Cluster> {
  const database = await createDatabase();
  await prepare(database);
  const bucket = await startBucket();
  const own = bucket.env();
  const NODE_OPTIONS = [own['NODE_OPTIONS'], given['NODE_OPTIONS']].filter((option) => option !== undefined).join(' ');
  const settings = { DATABASE_URL: database.url, LOCK_TIMEOUT: '5s', DATABASE_POOL: '5' };
  const env = { ...own, ...settings, ...given, NODE_OPTIONS };
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const aheadMs = clocksAheadMs[index];
      if (aheadMs === undefined) return startService({ env });
      return startService({ env: { ...env, NODE_OPTIONS: `${NODE_OPTIONS} ${shiftedClock(aheadMs)}` } });
    }),
  );
  const catalog = await openPostgresCatalog({ url: database.url, poolSize: 2 });
  return {
    nodes,
    database,
    bucket,
    catalog,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await catalog.close();
      await bucket.stop();
      await database.drop();
    },
  };
}

/** An upload's or a file's address, at another node. */
export function at(node: RunningService, address: string): string {
  return node.url + new URL(address).pathname;
}

/** From now on nothing that is notified is heard, as behind a pooler in transaction mode. */
export async function switchNotifyOff(database: TestDatabase): Promise<void> {
  await database.run(`create schema deaf;
    create function deaf.pg_notify(text, text) returns void language sql as 'select';
    alter database ${database.name} set search_path = deaf, pg_catalog`);
}

/** From now on nodes hear of each other by notices alone: what they ask in the catalog is lost. */
export async function loseAsks(database: TestDatabase): Promise<void> {
  await database.run(`create function lose() returns trigger language plpgsql as 'begin return null; end';
    create trigger lost before insert on asks for each row execute function lose()`);
}
