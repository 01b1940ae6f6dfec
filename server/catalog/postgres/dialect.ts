/** PostgreSQL's dialect. Transactions run concurrently, and each statement sees what is committed when it begins. */
import { createHash } from 'node:crypto';
import { CompiledQuery, type RawBuilder, sql, type SqlBool } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import { raiseCounters, readCounters } from './counters.ts';

// Held until the transaction ends: a pooler in transaction mode would not keep a lock of the session.
const lockName = (name: string) => sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`;

/** The index of names is searched by the first pieces of a part: more of them would exclude hardly any other name. */
const MOST_PIECES = 16;

/**
 * Whether a row of `files` may be the owner's, and its name contain the part: by the index that migrations/0011-name-pieces.ts
 * makes, whose pieces begin with the owner's group.
 */
function mayContain(owner: string, part: string): RawBuilder<SqlBool> {
  const group = String.fromCharCode(48 + ((createHash('md5').update(owner).digest()[0] ?? 0) & 63));
  const signs = Array.from(part);
  const pieces = Array.from({ length: Math.min(Math.max(signs.length - 2, 1), MOST_PIECES) }, (_, at) =>
    signs.slice(at, at + 3).join(''),
  );
  // A part of one or two characters is the beginning of pieces.
  const isWhole = signs.length > 2;
  const lexemes = pieces.map((piece) => `'${(group + piece).replaceAll(/['\\]/g, '$&$&')}'${isWhole ? '' : ':*'}`);
  return sql`name_pieces(files.owner, files.folded_name) @@ cast(${lexemes.join(' & ')} as tsquery)`;
}

/** What the queries need of PostgreSQL; see `QueryDialect`. */
export const postgresQueries: QueryDialect = {
  contains: (text, part) => sql<boolean>`strpos(${text}, ${part}) > 0`,

  nameIndex: { narrow: async (owner, part) => ({ from: sql`files`, where: mayContain(owner, part) }) },

  locked: (query, inOrder) =>
    (inOrder
      ? inOrder.reduce((some, table) => some.forUpdate(table as never) as typeof query, query)
      : query.forUpdate()) as typeof query,

  lockedToChange: <Query extends { forNoKeyUpdate(): unknown }>(query: Query) => query.forNoKeyUpdate() as Query,

  unlocked: <Query extends { forUpdate(): { skipLocked(): unknown } }>(query: Query) =>
    query.forUpdate().skipLocked() as Query,

  arrivals: (json) => sql`(select id, epoch, "idleMs" as idle_ms
    from jsonb_to_recordset(cast(${json} as jsonb)) as listed (id text, epoch bigint, "idleMs" bigint))`,

  isAmong: (text, json) => sql<boolean>`${text} in (select jsonb_array_elements_text(cast(${json} as jsonb)))`,

  // The lock is a statement of its own: the next one sees what was committed while it waited.
  oneAtATime: (db, name, run) =>
    db.transaction().execute(async (trx) => {
      await lockName(name).execute(trx);
      return run(trx);
    }),

  hold: async (executor, name, way) => {
    const lock = way === 'alone' ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared';
    await executor.executeQuery(CompiledQuery.raw(`select ${lock}(hashtextextended($1, 0))`, [name]));
  },

  givenIds: sql`overriding system value`,
  counters: { read: readCounters, raise: raiseCounters },
};
