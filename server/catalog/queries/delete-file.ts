/** The deletion of a file: its content goes with the last one. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, UploadState } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareInsertEvent } from './events.ts';
import { prepareHoldFile, toFileRecord } from './file-rows.ts';
import { prepare } from './prepare.ts';
import { prepareInsertRemoval } from './removals.ts';

/** Prepares `deleteFile`. */
export function createDeleteFile(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'deleteFile'> {
  // With its content: no file joins that until it is decided whether it goes.
  const holdFile = prepareHoldFile(db, dialect);

  // An upload's row is deleted together with its file. This one says what the store still has to discard: it stays.
  const endNoted = prepare((by: { fileId: string }) =>
    db
      .updateTable('uploads')
      .set((eb) => ({
        state: sql.lit<UploadState>('terminated'),
        reason: sql.lit('file_deleted'),
        file_id: null,
        // Late enough to be forgotten only when it would have been anyway.
        ended_at: eb.ref('expires_at'),
      }))
      .where('file_id', '=', by.fileId)
      .where('store_state', 'is not', null),
  );

  const deleteById = prepare((by: { id: string }) => db.deleteFrom('files').where('id', '=', by.id));

  const deleteContentIfUnused = prepare((by: { id: number }) =>
    db
      .deleteFrom('contents')
      .where('id', '=', by.id)
      .where((eb) =>
        eb.not(eb.exists(eb.selectFrom('files').select('files.id').whereRef('files.content_id', '=', 'contents.id'))),
      )
      .returning(['key', 'md5']),
  );

  const insertRemoval = prepareInsertRemoval(db);
  const insertEvent = prepareInsertEvent(db, clock);

  return {
    deleteFile(id, owner) {
      return db.transaction().execute(async (trx) => {
        const row = await holdFile.first(trx, { id, owner });
        if (!row) return undefined;
        await endNoted.changes(trx, { fileId: id });
        await deleteById.changes(trx, { id });
        const removed = await deleteContentIfUnused.first(trx, { id: row.contentId });
        if (removed) await insertRemoval.changes(trx, removed);
        const file = toFileRecord(row);
        await insertEvent(trx, 'deleted', file);
        return { file, removedKey: removed?.key ?? null };
      });
    },
  };
}
