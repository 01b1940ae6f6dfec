/** The catalog in a PostgreSQL database, which any number of nodes may have open. */
import type { RawBuilder } from 'kysely';
import { type Catalog, CatalogError } from '../catalog.ts';
import { createCatalog } from '../create-catalog.ts';
import { createNodeQueries } from '../queries/nodes.ts';
import { createSqlClock, DATABASE_NOW, followClock } from './clock.ts';
import { connectTo, type PostgresAddress } from './connect.ts';
import { postgresQueries } from './dialect.ts';
import { readId } from './inspect.ts';
import { migrate } from './migrate.ts';
import { withFunctions } from './with-functions.ts';
import { withNumberedEvents } from './with-numbered-events.ts';
import { withRetries } from './with-retries.ts';

const DEFAULT_POOL_SIZE = 10;
/** A connection that does not answer for so long is made anew while the node still counts as alive. */
const BEAT_TIMEOUT_MS = 4_000;

export interface PostgresCatalogOptions extends PostgresAddress {
  /** The most connections at once. */
  poolSize?: number;
  /** In tests: no answer for so long, and the connection is taken for lost. */
  queryTimeoutMs?: number;
  /** In tests: a clock that they set. */
  now?: RawBuilder<number>;
}

/**
 * Opens the catalog, whose tables are made where they are missing.
 *
 * @throws CatalogError `unavailable`, saying why: not reachable, wrong password, no such database, a right that is
 *   missing, too old a server, a certificate that is not trusted, of a newer version of this service.
 */
export async function openPostgresCatalog(options: PostgresCatalogOptions): Promise<Catalog> {
  const { poolSize = DEFAULT_POOL_SIZE, now = DATABASE_NOW, queryTimeoutMs } = options;
  const { db, name, close } = connectTo(options, { poolSize, queryTimeoutMs });
  const followed = followClock(db, now);
  // Where all others wait for a lock, which a node that stands still may hold for seconds, this node lives all the same.
  const heart = connectTo(options, { queryTimeoutMs: Math.min(queryTimeoutMs ?? BEAT_TIMEOUT_MS, BEAT_TIMEOUT_MS) });
  let closing: Promise<void> | undefined;

  const nodes = { clock: createSqlClock(now), isShared: true };
  const { beatNode } = createNodeQueries(heart.db, nodes, postgresQueries);
  const shared = createCatalog(db, {
    nodes,
    queries: postgresQueries,
    clock: followed.clock,
    keepTime: followed.ask,
    // A commit is answered once it is on the database's disk: `checkServer` looks at synchronous_commit.
    durable: async () => undefined,

    async ping() {
      await db.selectFrom('uploads').select('id').limit(1).execute();
    },

    close: () => (closing ??= Promise.all([close(), heart.close()]).then(() => undefined)),
  });
  const catalog = { ...shared, beatNode };
  try {
    const id = await bringUpToDate(options);
    if (options.directUrl && id !== (await readId(db, name)))
      throw new CatalogError('unavailable', `DATABASE_DIRECT_URL leads to another database than ${name}`);
    await followed.ask();
  } catch (error) {
    await catalog.close();
    throw error;
  }
  return withRetries(withNumberedEvents(withFunctions(catalog, db, now), db));
}

/** By a connection of its own, past a pooler: to index all rows of a large table takes longer than any query. Its id. */
async function bringUpToDate(address: PostgresAddress): Promise<string | undefined> {
  const { db, name, close } = connectTo(address, { queryTimeoutMs: 0, isDirect: true });
  try {
    await migrate(db, name);
    return await readId(db, name);
  } finally {
    await close();
  }
}
