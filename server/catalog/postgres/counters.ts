/** The last numbers that were assigned: to contents and folders by sequences, to events by a row. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Counters } from '../rows.ts';
import type { Tables } from '../schema.ts';

const SEQUENCES = {
  contents: sql`pg_get_serial_sequence('contents', 'id')`,
  folders: sql`pg_get_serial_sequence('folders', 'id')`,
};

function lastOf(sequence: RawBuilder<unknown>): RawBuilder<number> {
  return sql`coalesce(pg_sequence_last_value(${sequence}::regclass), 0)`;
}

/** Reads them. */
export async function readCounters(db: Kysely<Tables>): Promise<Counters> {
  const { contents, folders } = SEQUENCES;
  const { rows } = await sql<Counters>`select ${lastOf(contents)} as contents, ${lastOf(folders)} as folders,
    (select last from event_numbers) as events`.execute(db);
  return rows[0] ?? { contents: 0, folders: 0, events: 0 };
}

/** Raises them to at least these values, so that later numbers are greater. */
export async function raiseCounters(db: Kysely<Tables>, { events, ...counters }: Counters): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (const name of ['contents', 'folders'] as const) {
      if (counters[name] === 0) continue;
      const last = sql`greatest(${counters[name]}::bigint, ${lastOf(SEQUENCES[name])})`;
      await sql`select setval(${SEQUENCES[name]}, ${last})`.execute(trx);
    }
    await sql`update event_numbers set last = greatest(last, ${events}::bigint)`.execute(trx);
  });
}
