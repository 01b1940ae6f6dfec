/** Restores files from the trash: at their paths, with their ids, and in the links that they were in. */
import { type Kysely, sql } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import { splitPath } from '../../wire/paths.ts';
import type { FileRecord } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { TrashMethods } from '../trash.ts';
import type { SqlClock } from './clock.ts';
import { prepareInsertEvent } from './events.ts';
import { toFileRecord } from './file-rows.ts';
import { prepareTakeFolders } from './folders.ts';
import { type Place, prepareNames } from './free-name.ts';
import { type Executor, prepare } from './prepare.ts';
import { createHoldTrash, prepareLeaveTrash, type TrashRow, untilTaken } from './trash-rows.ts';
import { prepareSelectTrashed } from './trash.ts';
import { prepareGiveFoldersBack } from './trash-link-folders.ts';

/** Prepares `restoreTrashed`. */
export function createRestoreTrashed(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<TrashMethods, 'restoreTrashed'> {
  const selectTrashed = prepareSelectTrashed(db);
  const holdTrash = createHoldTrash(db, dialect);
  const takeFolders = prepareTakeFolders(db, dialect);
  const names = prepareNames(db, dialect);
  const insertFile = prepareInsertRestored(db);
  const giveLinksBack = prepareGiveLinksBack(db);
  const giveFoldersBack = prepareGiveFoldersBack(db);
  const leave = prepareLeaveTrash(db);
  const insertEvent = prepareInsertEvent(db, clock);

  /** The file is there again, or another one of the same content has its name. */
  async function place(trx: Executor, row: TrashRow): Promise<FileRecord> {
    const { owner, contentId } = row;
    const { folders, name } = splitPath(row.name);
    const folderIds = await takeFolders(trx, owner, folders);
    const folderId = folderIds.at(-1) ?? null;
    const at: Place = { owner, folderId, folderPath: folders.length > 0 ? folders.join('/') : null };
    await names.holdName(trx, at, name);
    const { same, isTaken } = await names.findSame(trx, at, name, contentId, true);
    if (same) return same;
    const given = isTaken ? await names.freeName(trx, at, name) : name;
    const { id, type, uploadedAt, size } = row;
    const values = { id, owner, name: given, foldedName: foldName(given), type, uploadedAt, contentId, size, folderId };
    await insertFile.changes(trx, values);
    const { deletedAt: _at, deletion: _deletion, depth: _depth, ...bare } = row;
    const restored = toFileRecord({ ...bare, name: given, folderPath: at.folderPath });
    await insertEvent(trx, 'published', restored);
    await giveFoldersBack(trx, id, folderIds);
    return restored;
  }

  return {
    restoreTrashed: (owner, which) =>
      untilTaken(db, which, async (trx) => {
        const chosen = await selectTrashed(trx, owner, which);
        const rows = await holdTrash(trx, chosen);
        const restored: FileRecord[] = [];
        // By path, so that all who restore lock folders and names in one order.
        const inOrder = rows.filter((row) => row.owner === owner).toSorted((a, b) => (a.name < b.name ? -1 : 1));
        for (const row of inOrder) {
          const file = await place(trx, row);
          await giveLinksBack(trx, row.id, file.id);
          await leave.changes(trx, { id: row.id });
          restored.push(file);
        }
        return { chosen: chosen.length, taken: rows.length, result: restored };
      }),
  };
}

function prepareInsertRestored(db: Kysely<Tables>) {
  type Values = Pick<TrashRow, 'id' | 'owner' | 'name' | 'type' | 'uploadedAt' | 'contentId' | 'size'> & {
    foldedName: string;
    folderId: number | null;
  };
  return prepare((file: Values) =>
    db.insertInto('files').values({
      id: file.id,
      owner: file.owner,
      name: file.name,
      folded_name: file.foldedName,
      type: file.type,
      uploaded_at: file.uploadedAt,
      content_id: file.contentId,
      size: file.size,
      folder_id: file.folderId,
    }),
  );
}

/** Prepares the step that brings a restored file back into links. */
function prepareGiveLinksBack(db: Kysely<Tables>) {
  // Not into a link that was revoked meanwhile, by a node of any version; nor where the link has the file by another place.
  const giveBack = prepare((by: { trashedId: string; fileId: string }) =>
    db
      .insertInto('link_files')
      .columns(['link_id', 'position', 'file_id'])
      .expression(
        db
          .selectFrom('trash_links')
          .innerJoin('links', 'links.id', 'trash_links.link_id')
          .select([
            'trash_links.link_id',
            'trash_links.position',
            sql<string>`cast(${by.fileId} as text)`.as('file_id'),
          ])
          .where('trash_links.file_id', '=', by.trashedId)
          .where('links.revoked_at', 'is', null)
          .where((eb) =>
            eb.not(
              eb.exists(
                eb
                  .selectFrom('link_files as there')
                  .select('there.position')
                  .whereRef('there.link_id', '=', 'trash_links.link_id')
                  .where('there.file_id', '=', by.fileId),
              ),
            ),
          ),
      ),
  );
  const notEmpty = prepare((by: { fileId: string }) =>
    db
      .updateTable('links')
      .set({ empty_since: null })
      .where('empty_since', 'is not', null)
      .where('id', 'in', db.selectFrom('link_files').select('link_id').where('file_id', '=', by.fileId)),
  );

  return async function giveLinksBack(trx: Executor, trashedId: string, fileId: string): Promise<void> {
    if ((await giveBack.changes(trx, { trashedId, fileId })) > 0) await notEmpty.changes(trx, { fileId });
  };
}
