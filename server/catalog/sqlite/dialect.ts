/** The SQL that only SQLite has. SQLite has one writer at a time, so nothing has to be locked. */
import { sql } from 'kysely';
import type { NameIndex, QueryDialect } from '../dialect.ts';
import type { Reader } from './reader.ts';
import { raiseCounters, readCounters } from './counters.ts';

/** The index of names, which a reader keeps. */
export function createNameIndex(reader: Pick<Reader, 'findNames'>): NameIndex {
  return {
    async narrow(owner, part, most) {
      const ids = await reader.findNames(owner, part, most);
      // CROSS JOIN: one file after the other by its id.
      return (
        ids && {
          from: sql`json_each(${JSON.stringify(ids)}) as given cross join files`,
          where: sql<boolean>`files.id = given.value`,
        }
      );
    },
  };
}

/** SQLite's part of the shared queries, for one connection. */
export const sqliteQueries: QueryDialect = {
  // Not LIKE: it compares every character of the pattern at every place of the name, and takes some hundred times as long
  // where both are repetitive.
  contains: (text, part) => sql<boolean>`instr(${text}, ${part}) > 0`,
  nameIndex: null,
  locked: (query) => query,
  lockedToChange: (query) => query,
  unlocked: (query) => query,
  arrivals: (json) => sql`(select value ->> 'id' as id, value ->> 'epoch' as epoch, value ->> 'idleMs' as idle_ms
    from json_each(${json}))`,
  isAmong: (text, json) => sql<boolean>`${text} in (select value from json_each(${json}))`,
  oneAtATime: (db, _name, run) => run(db),
  hold: async () => undefined,
  givenIds: sql``,
  counters: { read: readCounters, raise: raiseCounters },
};
