/** Deletes a file, and with the last file of a content the content. */
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
  // Locks the content, too: no other file is added to it until this transaction has decided whether to delete it.
  const holdFile = prepareHoldFile(db, dialect);

  // The database deletes an upload's row together with its file (foreign key). A row with a note for the store has to stay.
  const endNoted = prepare((by: { fileId: string }) =>
    db
      .updateTable('uploads')
      .set((eb) => ({
        state: sql.lit<UploadState>('terminated'),
        reason: sql.lit('file_deleted'),
        file_id: null,
        // The row had to live this long in any case, so it is forgotten no earlier than without the deletion.
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
