/** The steps of a transaction that deletes files: into the trash or for good, and with the last file of a content the content. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { RemovedContent, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareInsertEvent } from './events.ts';
import { type FileRow, toFileRecord } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';
import { type FolderDeletion, prepareDeleteUnused, prepareTrashFile } from './trash-rows.ts';

/** What becomes of a deleted file, and the folder that it was deleted with. */
export type FateOfFile = 'trash' | 'gone' | FolderDeletion;

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
  const trashFile = prepareTrashFile(db, clock);
  const deleteContentIfUnused = prepareDeleteUnused(db);
  const insertEvent = prepareInsertEvent(db, clock);

  return async function removeFile(trx: Executor, row: FileRow, fate: FateOfFile): Promise<RemovedContent | null> {
    await endNoted.changes(trx, { fileId: row.id });
    if (fate !== 'gone') await trashFile(trx, row, fate === 'trash' ? null : fate);
    await deleteById.changes(trx, { id: row.id });
    const removed = fate === 'gone' ? await deleteContentIfUnused(trx, row.contentId) : null;
    await insertEvent(trx, 'deleted', toFileRecord(row));
    return removed;
  };
}
