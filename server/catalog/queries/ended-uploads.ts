/** Ended uploads: lists those that may have left bytes in the store, and forgets old rows. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, UploadState } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { uploadRecord } from './upload-rows.ts';

/** Prepares the queries on ended uploads. */
export function createEndedUploads(
  db: Kysely<Tables>,
  { unlocked }: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'listUndiscarded' | 'forgetStoreState' | 'forgetEnded' | 'forgetComplete'> {
  const record = uploadRecord(clock);

  const selectUndiscarded = prepare((by: { after: string; limit: number }) =>
    db
      .selectFrom('uploads')
      .select(record)
      .where('store_state', 'is not', null)
      .where('state', '<>', RECEIVING)
      .where('id', '>', by.after)
      .orderBy('id')
      .limit(by.limit),
  );

  const clearStoreState = prepare((by: { id: string }) =>
    db.updateTable('uploads').set({ store_state: null }).where('id', '=', by.id).where('state', '<>', RECEIVING),
  );

  const deleteEnded = prepareDeleteEnded(db, unlocked, clock);

  // A row with a note for the store stays, too: a job looks for it.
  const endNoted = prepare((by: { id: string; owner: string }) =>
    db
      .updateTable('uploads')
      .set((eb) => ({
        state: sql.lit<UploadState>('terminated'),
        reason: sql.lit('forgotten'),
        file_id: null,
        ended_at: eb.ref('expires_at'),
      }))
      .where('id', '=', by.id)
      .where('owner', '=', by.owner)
      .where('state', '=', sql.lit<UploadState>('complete'))
      .where('store_state', 'is not', null),
  );

  const deleteComplete = prepare((by: { id: string; owner: string }) =>
    db
      .deleteFrom('uploads')
      .where('id', '=', by.id)
      .where('owner', '=', by.owner)
      .where('state', '=', sql.lit<UploadState>('complete')),
  );

  return {
    forgetComplete(id, owner) {
      return db.transaction().execute(async (trx) => {
        const noted = await endNoted.changes(trx, { id, owner });
        return noted + (await deleteComplete.changes(trx, { id, owner })) > 0;
      });
    },

    listUndiscarded(after, limit) {
      return selectUndiscarded.rows(db, { after, limit });
    },

    async forgetStoreState(id) {
      await clearStoreState.changes(db, { id });
    },

    forgetEnded(forMs, limit) {
      return deleteEnded.changes(db, { forMs, limit });
    },
  };
}

/** Prepares the deletion of ended rows. A row with a note for the store stays until the store has removed the bytes. */
function prepareDeleteEnded(db: Kysely<Tables>, unlocked: QueryDialect['unlocked'], clock: SqlClock) {
  return prepare((by: { forMs: number; limit: number }) =>
    db.deleteFrom('uploads').where('id', 'in', (eb) =>
      unlocked(
        eb
          .selectFrom('uploads')
          .select('id')
          .where('ended_at', '<', sql<number>`${clock.earliest} - ${by.forMs}`)
          .where('store_state', 'is', null)
          // Its finals have to learn first that it has ended.
          .where(
            (row) =>
              row
                .selectFrom('final_partials')
                .select('final_id')
                .whereRef('final_partials.partial_id', '=', 'uploads.id')
                .limit(sql.lit(1)),
            'is',
            null,
          )
          .limit(by.limit),
      ),
    ),
  );
}
