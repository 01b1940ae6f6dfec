/** Files: an owner's names for contents. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareHoldContent } from './contents.ts';
import { prepareInsertEvent } from './events.ts';
import { prepareInsertFile, prepareSelectFile, prepareSelectSame, selectFiles, toFileRecord } from './file-rows.ts';
import { prepare } from './prepare.ts';

export type FileQueries = Pick<Catalog, 'addFile' | 'findFile' | 'findFileOfContent' | 'renameFile'>;

/** Prepares the queries on files. list-files.ts lists them, delete-file.ts deletes them. */
export function createFileQueries(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock): FileQueries {
  const holdContent = prepareHoldContent(db, dialect);
  const insertFile = prepareInsertFile(db, clock);
  const selectSame = prepareSelectSame(db);
  const selectFile = prepareSelectFile(db);
  const insertEvent = prepareInsertEvent(db, clock);

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

  return {
    addFile(contentId, file) {
      return db.transaction().execute(async (trx) => {
        const { owner, name } = file;
        // First, as it locks the content: another transaction that adds the same file has either ended, or waits.
        const content = await holdContent.first(trx, { id: contentId });
        if (!content) return undefined;
        const same = await selectSame.first(trx, { contentId, owner, name });
        if (same) return toFileRecord(same);
        const added = await insertFile(trx, file, content);
        await insertEvent(trx, 'published', added);
        return added;
      });
    },

    async findFile(id, owner) {
      const row = owner === null ? await selectOfAnyone.first(db, { id }) : await selectFile.first(db, { id, owner });
      return row && toFileRecord(row);
    },

    async findFileOfContent(contentId, owner, which) {
      const row = await (which === 'oldest' ? selectOldest : selectLatest).first(db, { contentId, owner });
      return row && toFileRecord(row);
    },

    renameFile(id, owner, name, type) {
      return db.transaction().execute(async (trx) => {
        await rename.changes(trx, { id, owner, name, foldedName: foldName(name), type });
        const row = await selectFile.first(trx, { id, owner });
        if (!row) return undefined;
        const renamed = toFileRecord(row);
        await insertEvent(trx, 'renamed', renamed);
        return renamed;
      });
    },
  };
}
