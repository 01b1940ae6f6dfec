/** The last numbers that were assigned: to contents by a sequence, to events by a row. */
import { type Kysely, sql } from 'kysely';
import type { Counters } from '../rows.ts';
import type { Tables } from '../schema.ts';

const SEQUENCE = sql`pg_get_serial_sequence('contents', 'id')`;

/** Reads them. */
export async function readCounters(db: Kysely<Tables>): Promise<Counters> {
  const { rows } = await sql<Counters>`select coalesce(pg_sequence_last_value(${SEQUENCE}::regclass), 0) as contents,
    (select last from event_numbers) as events`.execute(db);
  return rows[0] ?? { contents: 0, events: 0 };
}

/** Raises them to at least these values, so that later numbers are greater. */
export async function raiseCounters(db: Kysely<Tables>, { contents, events }: Counters): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (contents > 0) {
      const last = sql`greatest(${contents}::bigint, coalesce(pg_sequence_last_value(${SEQUENCE}::regclass), 0))`;
      await sql`select setval(${SEQUENCE}, ${last})`.execute(trx);
    }
    await sql`update event_numbers set last = greatest(last, ${events}::bigint)`.execute(trx);
  });
}
