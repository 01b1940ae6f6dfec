/** SQLite's words. It has one writer at a time, so that nothing has to be locked. */
import { sql } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import { raiseCounters, readCounters } from './counters.ts';

export const sqliteQueries: QueryDialect = {
  // LIKE looks at every sign of a pattern at every place of a name, and takes some hundred times as long where both
  // repeat themselves.
  contains: (text, part) => sql<boolean>`instr(${text}, ${part}) > 0`,
  locked: (query) => query,
  unlocked: (query) => query,
  arrivals: (json) => sql`(select value ->> 'id' as id, value ->> 'epoch' as epoch, value ->> 'idleMs' as idle_ms
    from json_each(${json}))`,
  oneAtATime: (db, _name, run) => run(db),
  givenIds: sql``,
  counters: { read: readCounters, raise: raiseCounters },
};
