/** Changes of an upload's row: the time of its last byte, its end. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { NOTHING_NOTED } from '../catalog.ts';
import type { Catalog, UploadState } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareDeleteParts } from './ledger.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type UploadQueries = Pick<Catalog, 'noteArrivals' | 'endUpload'>;

/** Rows whose time is behind by less than this stay as they are: a commit may have just written them. */
const NOTED_AFTER_MS = 2_000;

/** Prepares the changes of uploads. */
export function createUploadQueries(db: Kysely<Tables>, { arrivals }: QueryDialect, clock: SqlClock): UploadQueries {
  const raiseLastByte = prepare(
    (by: { json: string }) => {
      const at = sql`(${clock.steady} - seen.idle_ms)`;
      const update = sql`update uploads set last_byte_at = ${at} from ${arrivals(by.json)} as seen
        where uploads.id = seen.id and uploads.epoch = seen.epoch
        and uploads.last_byte_at < ${at} - ${sql.lit(NOTED_AFTER_MS)}`;
      return { compile: () => update.compile(db) };
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
        // The store writes its note only with a commit. Without a commit it may still have left bytes.
        store_state: eb.fn.coalesce('store_state', sql.lit(NOTHING_NOTED)),
      }))
      .where('id', '=', by.id)
      .where('epoch', '=', (eb) => eb.fn.coalesce(eb.val(by.epoch), 'epoch'))
      .where('state', '=', RECEIVING),
  );

  const deleteParts = prepareDeleteParts(db);

  return {
    async noteArrivals(given) {
      await raiseLastByte.changes(db, { json: JSON.stringify(given) });
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
