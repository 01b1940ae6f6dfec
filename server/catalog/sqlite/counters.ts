/** The last numbers that were given out: SQLite keeps them in a table of its own (SQLite: "AUTOINCREMENT"). */
import { type Kysely, sql } from 'kysely';
import type { Counters } from '../rows.ts';
import type { Tables } from '../schema.ts';

export async function readCounters(db: Kysely<Tables>): Promise<Counters> {
  const { rows } = await sql<{ name: string; seq: number }>`select name, seq from sqlite_sequence`.execute(db);
  const found = new Map(rows.map(({ name, seq }) => [name, seq]));
  return { contents: found.get('contents') ?? 0, folders: found.get('folders') ?? 0, events: found.get('events') ?? 0 };
}

export async function raiseCounters(db: Kysely<Tables>, counters: Counters): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (const [name, last] of Object.entries(counters)) {
      // The table has no key: a row is changed where there is one.
      const raise = sql`update sqlite_sequence set seq = max(seq, ${last}) where name = ${name}`;
      if ((await raise.execute(trx)).numAffectedRows === 0n)
        await sql`insert into sqlite_sequence (name, seq) values (${name}, ${last})`.execute(trx);
    }
  });
}
