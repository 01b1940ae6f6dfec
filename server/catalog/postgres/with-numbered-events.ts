/**
 * Events are numbered after they are committed, by the calls that read events, one at a time. So the order of numbers is
 * the order in which events become visible, and writers never wait for each other. Why: docs/decisions/0039.
 */
import { type Kysely, sql } from 'kysely';
import type { Catalog } from '../catalog.ts';
import { prepare } from '../queries/prepare.ts';
import type { Tables } from '../schema.ts';

/** How many events one transaction numbers, so that none takes long. */
const MOST_AT_ONCE = 5_000;

/** A catalog that numbers new events before it reads events. */
export function withNumberedEvents(catalog: Catalog, db: Kysely<Tables>): Catalog {
  const selectNew = prepare(() =>
    db.selectFrom('events').select('owner').where('number', 'is', null).limit(sql.lit(1)),
  );
  // It can be repeated: an event that has a number keeps it.
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
