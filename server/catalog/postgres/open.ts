/** The catalog in a PostgreSQL database, which one service at a time may have open. */
import type { RawBuilder } from 'kysely';
import type { Catalog, CatalogError } from '../catalog.ts';
import { createCatalog } from '../create-catalog.ts';
import { createSqlClock, DATABASE_NOW, followClock } from './clock.ts';
import { connectTo, type PostgresAddress } from './connect.ts';
import { postgresQueries } from './dialect.ts';
import { type Hold, holdAlone } from './hold.ts';
import { migrate } from './migrate.ts';
import { withNumberedEvents } from './with-numbered-events.ts';
import { withRetries } from './with-retries.ts';

const DEFAULT_POOL_SIZE = 10;

export interface PostgresCatalogOptions extends PostgresAddress {
  /** The most connections at once, beside the one that holds the lock. */
  poolSize?: number;
  /** Another service has taken the catalog while no connection held the lock: this one is to end. */
  onFailure?: (error: CatalogError) => void;
  /** In tests: several nodes have it open, and one that is not seen for a while is dead. */
  isShared?: boolean;
  /** In tests: no answer for so long, and the connection is taken for lost. */
  queryTimeoutMs?: number;
  /** In tests: a clock that they set. */
  now?: RawBuilder<number>;
}

/**
 * Opens the catalog, whose tables are made where they are missing.
 *
 * @throws CatalogError `unavailable`, saying why: not reachable, wrong password, no such database, a right that is
 *   missing, too old a server, a certificate that is not trusted, of a newer version of this service, in use by another
 *   service.
 */
export async function openPostgresCatalog(options: PostgresCatalogOptions): Promise<Catalog> {
  const {
    poolSize = DEFAULT_POOL_SIZE,
    onFailure = () => undefined,
    isShared = false,
    now = DATABASE_NOW,
    queryTimeoutMs,
  } = options;
  const { db, name, connection, close } = connectTo(options, { poolSize, queryTimeoutMs });
  const followed = followClock(db, now);
  let hold: Hold | undefined;
  let closing: Promise<void> | undefined;

  /** The lock last: until then what is under way may write. */
  async function closeAll(): Promise<void> {
    await close();
    await hold?.release();
  }

  const catalog = createCatalog(db, {
    nodes: { clock: createSqlClock(now), isShared },
    queries: postgresQueries,
    clock: followed.clock,
    keepTime: followed.ask,
    // A commit is answered once it is on the database's disk: `checkServer` looks at synchronous_commit.
    durable: async () => undefined,

    async ping() {
      await db.selectFrom('uploads').select('id').limit(1).execute();
    },

    close: () => (closing ??= closeAll()),
  });
  try {
    await bringUpToDate(options);
    await followed.ask();
    if (!isShared) hold = await holdAlone({ connection, name, onFailure });
  } catch (error) {
    await catalog.close();
    throw error;
  }
  return withRetries(withNumberedEvents(catalog, db));
}

/** By a connection of its own, past a pooler: to index all rows of a large table takes longer than any query. */
async function bringUpToDate(address: PostgresAddress): Promise<void> {
  const { db, name, close } = connectTo(address, { queryTimeoutMs: 0, isDirect: true });
  try {
    await migrate(db, name);
  } finally {
    await close();
  }
}
