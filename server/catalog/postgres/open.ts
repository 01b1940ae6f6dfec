/** The catalog in a PostgreSQL database, which any number of nodes may have open. */
import type { Kysely, RawBuilder } from 'kysely';
import { type Catalog, CatalogError } from '../catalog.ts';
import { createCatalog, type DialectMethods } from '../create-catalog.ts';
import { createNodeQueries } from '../queries/nodes.ts';
import type { Quota } from '../quotas.ts';
import type { Tables } from '../schema.ts';
import { withQuotas } from '../with-quotas.ts';
import { createSqlClock, DATABASE_NOW, followClock } from './clock.ts';
import { connectTo, type PostgresAddress } from './connect.ts';
import { postgresQueries } from './dialect.ts';
import { readId } from './inspect.ts';
import { migrate } from './migrate.ts';
import { createPostgresQuotas } from './quotas.ts';
import { withFunctions } from './with-functions.ts';
import { withNumberedEvents } from './with-numbered-events.ts';
import { withRetries } from './with-retries.ts';

const DEFAULT_POOL_SIZE = 10;
/** A heartbeat without an answer for this long fails; the next one, on a new connection, still comes in time. */
const BEAT_TIMEOUT_MS = 4_000;

/** Where the catalog is, and how to use it. */
export interface PostgresCatalogOptions extends PostgresAddress {
  /** The maximum number of connections. */
  poolSize?: number;
  /** Left out: nobody has a quota. */
  quotaOf?: ((owner: string) => Quota) | undefined;
  /** For tests: after this long without an answer, the connection counts as lost. */
  queryTimeoutMs?: number;
  /** For tests: a clock that they set. */
  now?: RawBuilder<number>;
}

/**
 * Opens the catalog; creates the tables that are missing.
 *
 * @throws CatalogError `unavailable`, saying why: the server cannot be reached, or is too old; its certificate is not
 *   trusted; the password is wrong; the database or a right is missing; a newer version of this service wrote the tables.
 */
export async function openPostgresCatalog(options: PostgresCatalogOptions): Promise<Catalog> {
  const { poolSize = DEFAULT_POOL_SIZE, now = DATABASE_NOW, queryTimeoutMs } = options;
  const { db, name, close } = connectTo(options, { poolSize, queryTimeoutMs });
  const followed = followClock(db, now);
  // Heartbeats have a connection of their own: all others may wait for a lock that a frozen node holds for seconds.
  const heart = connectTo(options, { queryTimeoutMs: Math.min(queryTimeoutMs ?? BEAT_TIMEOUT_MS, BEAT_TIMEOUT_MS) });
  let closing: Promise<void> | undefined;

  const nodes = { clock: createSqlClock(now), isShared: true };
  const { beatNode } = createNodeQueries(heart.db, nodes, postgresQueries);
  const methods: DialectMethods = {
    nodes,
    queries: postgresQueries,
    clock: followed.clock,
    keepTime: followed.ask,
    // PostgreSQL answers a commit once it is on disk: `checkServer` checks synchronous_commit.
    durable: async () => undefined,

    async ping() {
      await db.selectFrom('uploads').select('id').limit(1).execute();
    },

    close: () => (closing ??= Promise.all([close(), heart.close()]).then(() => undefined)),
  };
  const over = (database: Kysely<Tables>) => withFunctions(createCatalog(database, methods), database, now);
  const quotas = {
    db,
    clock: nodes.clock,
    dialect: createPostgresQuotas(db, poolSize),
    quotaOf: options.quotaOf,
    over,
  };
  const catalog = { ...withQuotas(over(db), quotas), beatNode };
  try {
    const id = await bringUpToDate(options);
    if (options.directUrl && id !== (await readId(db, name)))
      throw new CatalogError('unavailable', `DATABASE_DIRECT_URL leads to another database than ${name}`);
    await followed.ask();
  } catch (error) {
    await catalog.close();
    throw error;
  }
  return withRetries(withNumberedEvents(catalog, db));
}

/**
 * Migrates over a connection of its own, past a pooler and without a time limit: indexing a large table takes longer than
 * any query. @returns the catalog's id.
 */
async function bringUpToDate(address: PostgresAddress): Promise<string | undefined> {
  const { db, name, close } = connectTo(address, { queryTimeoutMs: 0, isDirect: true });
  try {
    await migrate(db, name);
    return await readId(db, name);
  } finally {
    await close();
  }
}
