/** The SQL that only SQLite has. SQLite has one writer at a time, so nothing has to be locked. */
import { sql } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import { raiseCounters, readCounters } from './counters.ts';

/** SQLite's part of the shared queries. */
export const sqliteQueries: QueryDialect = {
  // Not LIKE: it compares every character of the pattern at every place of the name, and takes some hundred times as long
  // where both are repetitive.
  contains: (text, part) => sql<boolean>`instr(${text}, ${part}) > 0`,
  nameIndex: null,
  locked: (query) => query,
  unlocked: (query) => query,
  arrivals: (json) => sql`(select value ->> 'id' as id, value ->> 'epoch' as epoch, value ->> 'idleMs' as idle_ms
    from json_each(${json}))`,
  oneAtATime: (db, _name, run) => run(db),
  givenIds: sql``,
  counters: { read: readCounters, raise: raiseCounters },
};
