/** Files: an owner's names for contents. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import { splitPath } from '../../wire/paths.ts';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareHoldContent } from './contents.ts';
import { prepareInsertEvent } from './events.ts';
import { prepareSelectFile, selectFiles, toFileRecord, treeOf } from './file-rows.ts';
import { prepareTakeFolders } from './folders.ts';
import { type Place, prepareNames } from './free-name.ts';
import { preparePlaceFile } from './place-file.ts';
import { prepare } from './prepare.ts';

export type FileQueries = Pick<Catalog, 'addFile' | 'findFile' | 'findFileOfContent' | 'renameFile'>;

/** Prepares the queries on files. list-files.ts lists them, delete-file.ts deletes them. */
export function createFileQueries(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock): FileQueries {
  const holdContent = prepareHoldContent(db, dialect);
  const { foresee, place } = preparePlaceFile(db, dialect, clock);
  const selectFile = prepareSelectFile(db);

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

  return {
    ...createRenameFile(db, dialect, clock),

    addFile(contentId, file) {
      return db.transaction().execute(async (trx) => {
        await foresee(trx, file, contentId);
        // Locks the content: another transaction that adds the same file has either ended, or waits.
        const content = await holdContent.first(trx, { id: contentId });
        return content && place(trx, file, content);
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
  };
}

/** Prepares `renameFile`. */
function createRenameFile(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock): Pick<Catalog, 'renameFile'> {
  const takeFolders = prepareTakeFolders(db, dialect);
  const names = prepareNames(db, dialect);
  const selectFile = prepareSelectFile(db);
  const insertEvent = prepareInsertEvent(db, clock);

  const hold = prepare((by: { id: string; owner: string }) =>
    dialect.lockedToChange(
      db.selectFrom('files').select('folder_id as folderId').where('id', '=', by.id).where('owner', '=', by.owner),
    ),
  );

  type Renamed = { id: string; name: string; foldedName: string; type: string | null; folderId: number | null };
  const rename = prepare((by: Renamed) =>
    db
      .updateTable('files')
      .set({ name: by.name, folded_name: by.foldedName, type: by.type, folder_id: by.folderId })
      .where('id', '=', by.id),
  );

  return {
    renameFile(id, owner, path, type) {
      return db.transaction().execute(async (trx) => {
        const held = await hold.first(trx, { id, owner });
        if (!held) return undefined;
        const { folders, name } = splitPath(path);
        if (folders.length > 0 || held.folderId !== null) await dialect.hold(trx, treeOf(owner), 'alone');
        const file = await selectFile.first(trx, { id, owner });
        if (!file) return undefined;
        const folderId = (await takeFolders(trx, owner, folders)).at(-1) ?? null;
        const at: Place = { owner, folderId, folderPath: folders.length > 0 ? folders.join('/') : null };
        await names.holdName(trx, at, name);
        const stays = folderId === held.folderId && name === file.name;
        const isTaken = !stays && (await names.isTaken(trx, at, name));
        const given = isTaken ? await names.freeName(trx, at, name) : name;
        await rename.changes(trx, { id, name: given, foldedName: foldName(given), type, folderId });
        const renamed = toFileRecord({ ...file, name: given, type, folderPath: at.folderPath });
        await insertEvent(trx, 'renamed', renamed);
        return renamed;
      });
    },
  };
}
