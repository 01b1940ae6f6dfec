/** The steps of a transaction that deletes files, and with the last file of a content the content. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { RemovedContent, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareInsertEvent } from './events.ts';
import { type FileRow, toFileRecord } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';
import { prepareInsertRemoval } from './removals.ts';

/** Prepares the deletion of a file whose row, and whose content's row, are locked. */
export function prepareRemoveFile(db: Kysely<Tables>, clock: SqlClock) {
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

  return async function removeFile(trx: Executor, row: FileRow): Promise<RemovedContent | null> {
    await endNoted.changes(trx, { fileId: row.id });
    await deleteById.changes(trx, { id: row.id });
    const removed = await deleteContentIfUnused.first(trx, { id: row.contentId });
    if (removed) await insertRemoval.changes(trx, removed);
    await insertEvent(trx, 'deleted', toFileRecord(row));
    return removed ?? null;
  };
}
