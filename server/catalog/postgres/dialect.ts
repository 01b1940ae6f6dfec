/** PostgreSQL's words. Its transactions run beside each other, each statement on what is committed by then. */
import { sql } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import { raiseCounters, readCounters } from './counters.ts';

// Held until the transaction ends, so that a pooler in transaction mode keeps it with the rest.
const lockName = (name: string) => sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`;

export const postgresQueries: QueryDialect = {
  contains: (text, part) => sql<boolean>`strpos(${text}, ${part}) > 0`,

  locked: (query, inOrder) =>
    (inOrder
      ? inOrder.reduce((some, table) => some.forUpdate(table as never) as typeof query, query)
      : query.forUpdate()) as typeof query,

  unlocked: <Query extends { forUpdate(): { skipLocked(): unknown } }>(query: Query) =>
    query.forUpdate().skipLocked() as Query,

  arrivals: (json) => sql`(select id, epoch, "idleMs" as idle_ms
    from jsonb_to_recordset(cast(${json} as jsonb)) as listed (id text, epoch bigint, "idleMs" bigint))`,

  // Two statements: the second sees what was committed while the first waited.
  oneAtATime: (db, name, run) =>
    db.transaction().execute(async (trx) => {
      await lockName(name).execute(trx);
      return run(trx);
    }),

  givenIds: sql`overriding system value`,
  counters: { read: readCounters, raise: raiseCounters },
};
