/** How long partials live: with a final that waits for them, and after it. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

/** Prepares `releasePartials`. */
export function createReleasePartials(db: Kysely<Tables>, clock: SqlClock): Pick<Catalog, 'releasePartials'> {
  const selectReleased = prepare((by: { finalId: string }) =>
    db
      .selectFrom('final_partials as own')
      .select('own.partial_id as id')
      .where('own.final_id', '=', by.finalId)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('final_partials as other')
              .select('other.final_id')
              .whereRef('other.partial_id', '=', 'own.partial_id')
              .whereRef('other.final_id', '<>', 'own.final_id'),
          ),
        ),
      ),
  );

  const shortenLife = prepare((by: { id: string; lifeMs: number }) =>
    db
      .updateTable('uploads')
      .set({ expires_at: sql<number>`${clock.latest} + ${by.lifeMs}` })
      .where('id', '=', by.id)
      .where('state', '=', RECEIVING)
      .where('expires_at', '>', sql<number>`${clock.latest} + ${by.lifeMs}`),
  );

  const deletePartials = prepare((by: { finalId: string }) =>
    db.deleteFrom('final_partials').where('final_id', '=', by.finalId),
  );

  return {
    releasePartials(finalId, lifeMs) {
      return db.transaction().execute(async (trx) => {
        const released = lifeMs === null ? [] : await selectReleased.rows(trx, { finalId });
        // In one order, as transactions of other finals may change the same rows.
        for (const id of new Set(released.map((row) => row.id).toSorted()))
          await shortenLife.changes(trx, { id, lifeMs: lifeMs ?? 0 });
        await deletePartials.changes(trx, { finalId });
      });
    },
  };
}

/** Prepares `keepWaiting`. */
export function createKeepWaiting(db: Kysely<Tables>, clock: SqlClock): Pick<Catalog, 'keepWaiting'> {
  const selectFinalsOf = prepare((by: { id: string }) =>
    db.selectFrom('final_partials').select('final_id as id').distinct().where('partial_id', '=', by.id),
  );

  const selectLife = prepare((by: { id: string }) =>
    db.selectFrom('uploads').select('expires_at as expiresAt').where('id', '=', by.id).where('state', '=', RECEIVING),
  );

  const selectLifeOfPartials = prepare((by: { id: string }) =>
    db
      .selectFrom('uploads')
      .select((eb) => eb.fn.max('expires_at').as('expiresAt'))
      .where('state', '=', RECEIVING)
      .where('id', 'in', (eb) => eb.selectFrom('final_partials').select('partial_id').where('final_id', '=', by.id)),
  );

  const raiseExpiry = prepare((by: { id: string; expiresAt: number }) =>
    db
      .updateTable('uploads')
      .set({ expires_at: by.expiresAt })
      .where('id', '=', by.id)
      .where('state', '=', RECEIVING)
      .where('expires_at', '<', by.expiresAt),
  );

  const selectIsAlive = prepare((by: { id: string }) =>
    db
      .selectFrom('uploads')
      .select('id')
      .where('id', '=', by.id)
      .where('state', '=', RECEIVING)
      .where('expires_at', '>', clock.earliest),
  );

  return {
    keepWaiting(id) {
      return db.transaction().execute(async (trx) => {
        const finals = await selectFinalsOf.rows(trx, { id });
        for (const final of [...finals, { id }]) {
          // A final that has ended keeps nothing alive. Of a partial itself, no partials are found.
          const own = await selectLife.first(trx, final);
          const ofPartials = own && (await selectLifeOfPartials.first(trx, final));
          const expiresAt = Math.max(own?.expiresAt ?? 0, ofPartials?.expiresAt ?? 0);
          await raiseExpiry.changes(trx, { id, expiresAt });
        }
        return (await selectIsAlive.first(trx, { id })) !== undefined;
      });
    },
  };
}
