/** The ledger: the committed offset of an upload, and the rows of its durably stored parts. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, OffsetCommit, PartRecord } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

/** Prepares the deletion of the records of an upload's parts. */
export function prepareDeleteParts(db: Kysely<Tables>) {
  return prepare((by: { id: string }) => db.deleteFrom('parts').where('upload_id', '=', by.id));
}

/** Prepares the queries on the ledger. */
export function createLedgerQueries(db: Kysely<Tables>, clock: SqlClock): Pick<Catalog, 'commitOffset' | 'listParts'> {
  const moveOffset = prepare((commit: Omit<OffsetCommit, 'parts'> & { storeState: string | null }) =>
    db
      .updateTable('uploads')
      .set({
        offset: commit.offset,
        snapshot: commit.snapshot,
        store_state: commit.storeState,
        // A sum with null is null: then the column keeps its value.
        last_byte_at: sql<number>`coalesce(${clock.steady} - ${commit.idleMs}, last_byte_at)`,
        expires_at: sql<number>`coalesce(${clock.latest} + ${commit.lifeMs}, expires_at)`,
      })
      .where('id', '=', commit.id)
      .where('epoch', '=', commit.epoch)
      .where('state', '=', RECEIVING)
      .where('offset', '<=', commit.offset)
      .returning('expires_at as expiresAt'),
  );

  // After a recovery, the store may send a part again: the new row replaces the old one.
  const recordPart = prepare((part: PartRecord & { uploadId: string }) =>
    db
      .insertInto('parts')
      .values({
        upload_id: part.uploadId,
        number: part.number,
        start: part.start,
        size: part.size,
        etag: part.etag,
        snapshot: part.snapshot,
      })
      .onConflict((conflict) =>
        conflict.columns(['upload_id', 'number']).doUpdateSet((eb) => ({
          start: eb.ref('excluded.start'),
          size: eb.ref('excluded.size'),
          etag: eb.ref('excluded.etag'),
          snapshot: eb.ref('excluded.snapshot'),
        })),
      ),
  );

  const selectParts = prepare((by: { id: string }) =>
    db
      .selectFrom('parts')
      .select(['number', 'start', 'size', 'etag', 'snapshot'])
      .where('upload_id', '=', by.id)
      .orderBy('number'),
  );

  return {
    async commitOffset({ parts = [], storeState = null, ...rest }) {
      const commit = { ...rest, storeState };
      if (parts.length === 0) return moveOffset.first(db, commit);
      return db.transaction().execute(async (trx) => {
        const moved = await moveOffset.first(trx, commit);
        if (moved) for (const part of parts) await recordPart.changes(trx, { ...part, uploadId: commit.id });
        return moved;
      });
    },

    listParts(id) {
      return selectParts.rows(db, { id });
    },
  };
}
