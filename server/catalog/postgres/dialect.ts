/** PostgreSQL's dialect. Transactions run concurrently, and each statement sees what is committed when it begins. */
import { sql } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import { raiseCounters, readCounters } from './counters.ts';

// Held until the transaction ends: a pooler in transaction mode would not keep a lock of the session.
const lockName = (name: string) => sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`;

/** The index of names is searched by the first characters of a part: more of them would exclude hardly any other name. */
const MOST_SIGNS = 64;

/** What the queries need of PostgreSQL; see `QueryDialect`. */
export const postgresQueries: QueryDialect = {
  contains: (text, part) => sql<boolean>`strpos(${text}, ${part}) > 0`,

  // migrations/0006-name-grams.ts
  nameIndex: {
    knows: (part) => {
      const signs = Array.from(part).length;
      return signs > 2 || (signs === 2 && Buffer.byteLength(part) > 2);
    },
    mayContain: (owner, part) => {
      const start = Array.from(part).slice(0, MOST_SIGNS).join('');
      return sql<boolean>`name_grams(files.owner, files.folded_name) @> name_grams(${owner}, ${start})`;
    },
  },

  locked: (query, inOrder) =>
    (inOrder
      ? inOrder.reduce((some, table) => some.forUpdate(table as never) as typeof query, query)
      : query.forUpdate()) as typeof query,

  unlocked: <Query extends { forUpdate(): { skipLocked(): unknown } }>(query: Query) =>
    query.forUpdate().skipLocked() as Query,

  arrivals: (json) => sql`(select id, epoch, "idleMs" as idle_ms
    from jsonb_to_recordset(cast(${json} as jsonb)) as listed (id text, epoch bigint, "idleMs" bigint))`,

  // The lock is a statement of its own: the next one sees what was committed while it waited.
  oneAtATime: (db, name, run) =>
    db.transaction().execute(async (trx) => {
      await lockName(name).execute(trx);
      return run(trx);
    }),

  givenIds: sql`overriding system value`,
  counters: { read: readCounters, raise: raiseCounters },
};
