/** Files: an owner's names for contents. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepareInsertRemoval, prepareSelectContent } from './contents.ts';
import { prepareInsertEvent } from './events.ts';
import { foldName, prepareInsertFile, prepareSelectSame, selectFiles, toFileRecord } from './file-rows.ts';
import { prepare } from './prepare.ts';

export type FileQueries = Pick<Catalog, 'addFile' | 'findFile' | 'findFileOfContent' | 'renameFile' | 'deleteFile'>;

/** Prepares the queries on files, but for their listing. */
export function createFileQueries(db: Kysely<Tables>): FileQueries {
  const selectContent = prepareSelectContent(db);
  const insertFile = prepareInsertFile(db);
  const selectSame = prepareSelectSame(db);
  const insertEvent = prepareInsertEvent(db);

  const selectById = prepare((by: { id: string; owner: string }) =>
    selectFiles(db).where('files.id', '=', by.id).where('files.owner', '=', by.owner),
  );

  const selectOfAnyone = prepare((by: { id: string }) => selectFiles(db).where('files.id', '=', by.id));

  const selectOfContent = (direction: 'asc' | 'desc') =>
    prepare((by: { contentId: number; owner: string }) =>
      selectFiles(db)
        .where('files.content_id', '=', by.contentId)
        .where('files.owner', '=', by.owner)
        .orderBy('files.uploaded_at', direction)
        .orderBy('files.id', direction)
        .limit(sql.lit(1)),
    );
  const selectOldest = selectOfContent('asc');
  const selectLatest = selectOfContent('desc');

  const rename = prepare((by: { id: string; owner: string; name: string; foldedName: string; type: string | null }) =>
    db
      .updateTable('files')
      .set({ name: by.name, folded_name: by.foldedName, type: by.type })
      .where('id', '=', by.id)
      .where('owner', '=', by.owner),
  );

  // The row would go with the file, and with it what the store has noted.
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

  return {
    addFile(contentId, file, at) {
      return db.transaction().execute(async (trx) => {
        const { owner, name } = file;
        const same = await selectSame.first(trx, { contentId, owner, name });
        if (same) return toFileRecord(same);
        const content = await selectContent.first(trx, { id: contentId });
        if (!content) return undefined;
        const added = await insertFile(trx, file, content);
        await insertEvent(trx, 'published', added, at);
        return added;
      });
    },

    async findFile(id, owner) {
      const row = owner === null ? await selectOfAnyone.first(db, { id }) : await selectById.first(db, { id, owner });
      return row && toFileRecord(row);
    },

    async findFileOfContent(contentId, owner, which) {
      const row = await (which === 'oldest' ? selectOldest : selectLatest).first(db, { contentId, owner });
      return row && toFileRecord(row);
    },

    renameFile(id, owner, name, type, at) {
      return db.transaction().execute(async (trx) => {
        await rename.changes(trx, { id, owner, name, foldedName: foldName(name), type });
        const row = await selectById.first(trx, { id, owner });
        if (!row) return undefined;
        const renamed = toFileRecord(row);
        await insertEvent(trx, 'renamed', renamed, at);
        return renamed;
      });
    },

    deleteFile(id, owner, at) {
      return db.transaction().execute(async (trx) => {
        const row = await selectById.first(trx, { id, owner });
        if (!row) return undefined;
        await endNoted.changes(trx, { fileId: id });
        await deleteById.changes(trx, { id });
        const removed = await deleteContentIfUnused.first(trx, { id: row.contentId });
        if (removed) await insertRemoval.changes(trx, removed);
        const file = toFileRecord(row);
        await insertEvent(trx, 'deleted', file, at);
        return { file, removedKey: removed?.key ?? null };
      });
    },
  };
}
