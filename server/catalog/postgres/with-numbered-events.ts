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
  const hold = sql`select last from event_numbers for update`.compile(db);
  const number = sql`
    with new as (
      select id, row_number() over (order by id) as place
      from events where number is null order by id limit ${sql.lit(MOST_AT_ONCE)}
    ), given as (
      update event_numbers set last = last + (select count(*) from new)
      returning last - (select count(*) from new) as before
    )
    update events set number = given.before + new.place from new, given where events.id = new.id`.compile(db);

  async function numberNew(): Promise<void> {
    while ((await selectNew.first(db, {})) !== undefined) {
      await db.transaction().execute(async (trx) => {
        // A statement of its own: the next one sees what others have numbered while this one waited.
        await trx.executeQuery(hold);
        await trx.executeQuery(number);
      });
    }
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
