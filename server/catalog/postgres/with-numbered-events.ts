/**
 * Events get their numbers after they are committed, from those who read them, one reader at a time. So numbers are in
 * the order in which they can be seen, and those who write never wait for each other. Why: docs/decisions/0039.
 */
import { type Kysely, sql } from 'kysely';
import type { Catalog } from '../catalog.ts';
import { prepare } from '../queries/prepare.ts';
import type { Tables } from '../schema.ts';

/** So many at a time: no transaction takes long. */
const MOST_AT_ONCE = 5_000;

/** A catalog that numbers what is new before it looks at events. */
export function withNumberedEvents(catalog: Catalog, db: Kysely<Tables>): Catalog {
  const selectNew = prepare(() =>
    db.selectFrom('events').select('owner').where('number', 'is', null).limit(sql.lit(1)),
  );
  // One message. It may be repeated: what has a number keeps it.
  const number = sql`select number_events(${sql.lit(MOST_AT_ONCE)})`.compile(db);

  async function numberNew(): Promise<void> {
    while ((await selectNew.first(db, {})) !== undefined) await db.executeQuery(number);
  }

  return {
    ...catalog,
    async listEvents(query) {
      await numberNew();
      return catalog.listEvents(query);
    },
    async latestEvent(owner) {
      await numberNew();
      return catalog.latestEvent(owner);
    },
    async forgetEvents(forMs, limit) {
      await numberNew();
      return catalog.forgetEvents(forMs, limit);
    },
  };
}
