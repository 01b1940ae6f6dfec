/** The folders of links, and what is in them. */
import { type Kysely, sql } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import { joinPath, splitPath } from '../../wire/paths.ts';
import type { LinkedFolders, LinkedLevelQuery } from '../linked-folders.ts';
import type { Position } from '../cursor.ts';
import type { Tables } from '../schema.ts';
import { selectBareFiles, toFileRecord } from './file-rows.ts';
import { prepareFindFolders, prepareSelectChild } from './folders.ts';
import { createListFolders, createListLevel, type FolderPosition, type Level, namesOf } from './list-folder.ts';
import { type Executor, prepare, type Prepared } from './prepare.ts';

/** A folder's row, with its path and its owner. */
const LINKED = [
  'link_folders.position',
  'folders.id',
  'folders.owner',
  'folders.files',
  'folders.bytes',
  sql<string>`(with recursive up (parent_id, path) as (
      select above.parent_id, above.name from folders as above where above.id = link_folders.folder_id
      union all
      select above.parent_id, above.name || '/' || up.path from up join folders as above on above.id = up.parent_id
    ) select path from up where parent_id = 0)`.as('path'),
] as const;

function prepareSelections(db: Kysely<Tables>) {
  const linked = () =>
    db.selectFrom('link_folders').innerJoin('folders', 'folders.id', 'link_folders.folder_id').select(LINKED);
  const selectAll = prepare((by: { linkId: string }) =>
    linked().where('link_folders.link_id', '=', by.linkId).orderBy('link_folders.position'),
  );
  const selectOne = prepare((by: { linkId: string; position: number }) =>
    linked().where('link_folders.link_id', '=', by.linkId).where('link_folders.position', '=', by.position),
  );
  const selectFile = prepare((by: { folderId: number; name: string }) =>
    selectBareFiles(db)
      .select('files.folded_name as folded')
      .where('files.folder_id', '=', by.folderId)
      .where('files.name', '=', by.name)
      // By the index of the names in a folder.
      .orderBy('files.content_id')
      .limit(sql.lit(1)),
  );
  return { selectAll, selectOne, selectFile };
}

/** Prepares the queries on the folders of links. */
export function createLinkFolders(db: Kysely<Tables>): LinkedFolders {
  const { selectAll, selectOne, selectFile } = prepareSelections(db);
  const selectChild = prepareSelectChild(db);
  const listFolders = createListFolders(db);
  const listLevel = createListLevel(db);

  /** The folder at a path from the folder of a link on. */
  async function findLevel(
    linkId: string,
    position: number,
    names: readonly string[],
  ): Promise<(Level & { root: string; path: string }) | undefined> {
    const root = await selectOne.first(db, { linkId, position });
    if (!root) return undefined;
    const { owner } = root;
    let folderId = root.id;
    for (const name of names) {
      const child = await selectChild.first(db, { owner, parentId: folderId, name });
      if (!child) return undefined;
      folderId = child.id;
    }
    return { owner, folderId, root: root.path, path: [root.path, ...names].join('/') };
  }

  /** Where a page begins that comes after a name. What has it may be gone: then where it would stand. */
  async function positionAfter(
    { owner, folderId }: Level,
    { among, name }: NonNullable<LinkedLevelQuery['after']>,
  ): Promise<{ folder?: FolderPosition; file?: Position }> {
    if (among === 'folders') {
      const row = await selectChild.first(db, { owner, parentId: folderId, name });
      return { folder: { value: row?.folded ?? foldName(name), id: row?.id ?? 0 } };
    }
    const row = await selectFile.first(db, { folderId, name });
    return { file: { value: row?.folded ?? foldName(name), id: row?.id ?? '' } };
  }

  return {
    async listLinkFolders(linkId) {
      const rows = await selectAll.rows(db, { linkId });
      return rows.map(({ position, path, files, bytes }) => ({ position, path, files, bytes }));
    },

    async listLinkedLevel({ linkId, position, path, after, limit }) {
      const level = await findLevel(linkId, position, namesOf(path));
      if (!level) return undefined;
      const begin = after === null ? {} : await positionAfter(level, after);
      const rows = begin.file ? [] : await listFolders(level, 'asc', begin.folder, limit + 1);
      const folders = rows
        .slice(0, limit)
        .map(({ name, files, bytes }) => ({ path: joinPath(level.path, name), files, bytes }));
      const { root } = level;
      if (rows.length > limit) return { root, folders, files: [], hasMore: true };
      const room = limit - folders.length;
      const order = { column: 'folded_name', direction: 'asc' } as const;
      const found = await listLevel(level, { ...order, after: begin.file, count: room + 1 });
      return { root, folders, files: found.slice(0, room).map(({ file }) => file), hasMore: found.length > room };
    },

    async findLinkedFile(linkId, position, path) {
      const { folders, name } = splitPath(path);
      const level = await findLevel(linkId, position, folders);
      const row = level && (await selectFile.first(db, { folderId: level.folderId, name }));
      if (!level || !row) return undefined;
      const { folded: _, ...file } = row;
      return toFileRecord({ ...file, folderPath: level.path });
    },
  };
}

/** Prepares the steps of the transaction that records a link: its folders, from the position after its files on. */
export function prepareInsertLinkFolders(db: Kysely<Tables>) {
  const findFolders = prepareFindFolders(db);
  const insert = prepare((row: { linkId: string; position: number; folderId: number }) =>
    db.insertInto('link_folders').values({ link_id: row.linkId, position: row.position, folder_id: row.folderId }),
  );

  return {
    /** The ids of these folders; or the first of the paths at which the owner has none. */
    async find(trx: Executor, owner: string, paths: readonly string[]): Promise<number[] | { missing: string }> {
      const ids: number[] = [];
      for (const path of paths) {
        const folder = (await findFolders(trx, owner, namesOf(path)))?.at(-1);
        if (!folder) return { missing: path };
        ids.push(folder.id);
      }
      return ids;
    },
    async insert(trx: Executor, linkId: string, after: number, ids: readonly number[]): Promise<void> {
      for (const [index, folderId] of ids.entries()) {
        await insert.changes(trx, { linkId, position: after + index + 1, folderId });
      }
    },
  };
}

/** Prepares the deletion of a link's folders from it. */
export function prepareDeleteLinkFolders(db: Kysely<Tables>): Prepared<{ id: string }, unknown> {
  return prepare((by: { id: string }) => db.deleteFrom('link_folders').where('link_id', '=', by.id));
}
