/** Changes of an upload's row: its length, when its last byte came, its end. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { NOTHING_NOTED } from '../catalog.ts';
import type { Catalog, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareDeleteParts } from './ledger.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type UploadQueries = Pick<Catalog, 'declareLength' | 'withdrawLength' | 'noteArrival' | 'endUpload'>;

/** Prepares the changes of uploads. */
export function createUploadQueries(db: Kysely<Tables>, clock: SqlClock): UploadQueries {
  const setLength = prepare((by: { id: string; epoch: number; size: number }) =>
    db
      .updateTable('uploads')
      .set({ size: by.size })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING)
      .where('size', 'is', null)
      .where('offset', '<=', by.size),
  );

  const unsetLength = prepare((by: { id: string; epoch: number }) =>
    db
      .updateTable('uploads')
      .set({ size: null })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING),
  );

  const raiseLastByte = prepare(
    (by: { id: string; epoch: number; idleMs: number }) => {
      const at = sql<number>`${clock.steady} - ${by.idleMs}`;
      return db
        .updateTable('uploads')
        .set({ last_byte_at: at })
        .where('id', '=', by.id)
        .where('epoch', '=', by.epoch)
        .where('last_byte_at', '<', at);
    },
    { relaxed: true },
  );

  const end = prepare((by: { id: string; epoch: number | null; state: UploadState; reason: string | null }) =>
    db
      .updateTable('uploads')
      .set((eb) => ({
        state: by.state,
        reason: by.reason,
        ended_at: clock.latest,
        snapshot: null,
        phase: null,
        // The store notes its work only with a commit. Without one it may still have left something.
        store_state: eb.fn.coalesce('store_state', sql.lit(NOTHING_NOTED)),
      }))
      .where('id', '=', by.id)
      .where('epoch', '=', (eb) => eb.fn.coalesce(eb.val(by.epoch), 'epoch'))
      .where('state', '=', RECEIVING),
  );

  const deleteParts = prepareDeleteParts(db);

  return {
    async declareLength(id, epoch, size) {
      return (await setLength.changes(db, { id, epoch, size })) === 1;
    },

    async withdrawLength(id, epoch) {
      return (await unsetLength.changes(db, { id, epoch })) === 1;
    },

    async noteArrival(id, epoch, idleMs) {
      await raiseLastByte.changes(db, { id, epoch, idleMs });
    },

    endUpload(id, epoch, state, reason) {
      return db.transaction().execute(async (trx) => {
        if ((await end.changes(trx, { id, epoch, state, reason })) === 0) return false;
        await deleteParts.changes(trx, { id });
        return true;
      });
    },
  };
}
