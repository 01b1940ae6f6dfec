/**
 * The places in links that folders had. A folder goes with its last file, and its places with it; the trash keeps them with each
 * file that was below the folder, so that they come back with the first one that is restored.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../schema.ts';
import { type Executor, prepare } from './prepare.ts';

/** Prepares the step of a deletion that keeps them, before the file's row goes. */
export function prepareKeepLinkFolders(db: Kysely<Tables>) {
  const keep = prepare((by: { fileId: string; depth: number }) =>
    db
      .insertInto('trash_link_folders')
      .columns(['file_id', 'link_id', 'position', 'depth'])
      .expression(
        db
          .withRecursive('up', (recursive) =>
            recursive
              .selectFrom('files')
              .innerJoin('folders', 'folders.id', 'files.folder_id')
              .where('files.id', '=', by.fileId)
              .select(['folders.id as id', 'folders.parent_id as above', sql<number>`0`.as('height')])
              .unionAll(
                recursive
                  .selectFrom('up')
                  .innerJoin('folders', 'folders.id', 'up.above')
                  .select(['folders.id as id', 'folders.parent_id as above', sql<number>`up.height + 1`.as('height')]),
              ),
          )
          .selectFrom('up')
          // SQLite takes the tables of a CROSS JOIN in this order: few folders are above a file, and links may have many.
          .crossJoin('link_folders')
          .whereRef('link_folders.folder_id', '=', 'up.id')
          .select([
            sql<string>`cast(${by.fileId} as text)`.as('file_id'),
            'link_folders.link_id',
            'link_folders.position',
            sql<number>`cast(${by.depth} as bigint) - up.height`.as('depth'),
          ]),
      ),
  );

  /** @param folderPath - of the folder that the file is in; null: it is at the top. */
  return async function keepLinkFolders(trx: Executor, fileId: string, folderPath: string | null): Promise<void> {
    if (folderPath === null) return;
    await keep.changes(trx, { fileId, depth: folderPath.split('/').length });
  };
}

/** Prepares the step that brings the folders of a restored file back into links. */
export function prepareGiveFoldersBack(db: Kysely<Tables>) {
  const select = prepare((by: { fileId: string }) =>
    db
      .selectFrom('trash_link_folders')
      .innerJoin('links', 'links.id', 'trash_link_folders.link_id')
      .select(['trash_link_folders.link_id as linkId', 'trash_link_folders.position', 'trash_link_folders.depth'])
      .where('trash_link_folders.file_id', '=', by.fileId)
      // Not into a link that was revoked meanwhile, by a node of any version.
      .where('links.revoked_at', 'is', null),
  );
  // A folder that has more files was at the path before: the link was never about that one.
  const giveBack = prepare((by: { linkId: string; position: number; folderId: number }) =>
    db
      .insertInto('link_folders')
      .columns(['link_id', 'position', 'folder_id'])
      .expression(
        db
          .selectFrom('folders')
          .select([
            sql<string>`cast(${by.linkId} as text)`.as('link_id'),
            sql<number>`cast(${by.position} as bigint)`.as('position'),
            'folders.id',
          ])
          .where('folders.id', '=', by.folderId)
          .where('folders.files', '=', sql.lit(1)),
      )
      .onConflict((conflict) => conflict.doNothing()),
  );
  const notEmpty = prepare((by: { linkId: string }) =>
    db.updateTable('links').set({ empty_since: null }).where('id', '=', by.linkId).where('empty_since', 'is not', null),
  );

  /** @param folderIds - of the folders that the file is in now, from the top down. */
  return async function giveFoldersBack(trx: Executor, fileId: string, folderIds: readonly number[]): Promise<void> {
    if (folderIds.length === 0) return;
    for (const { linkId, position, depth } of await select.rows(trx, { fileId })) {
      const folderId = folderIds[depth - 1];
      if (folderId === undefined || (await giveBack.changes(trx, { linkId, position, folderId })) === 0) continue;
      await notEmpty.changes(trx, { linkId });
    }
  };
}
