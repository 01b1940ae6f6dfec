/** What the queries on files have in common: their columns, their names, and how one is inserted. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { type ContentRecord, type FileRecord, type NewFile, CatalogError } from '../catalog.ts';
import { foldName } from '../../wire/fold-name.ts';
import { joinPath, lastPart } from '../../wire/paths.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';

/** A file with its content, as one flat row. */
export interface FileRow extends Omit<NewFile, 'onConflict' | 'fateOfReplaced'>, Omit<ContentRecord, 'id'> {
  /** Null: it is at the top. */
  folderPath: string | null;
  uploadedAt: number;
  contentId: number;
}

/** Such a row without its folder's path. */
export type BareFileRow = Omit<FileRow, 'folderPath'>;

/** The columns of a FileRow. */
const FILE_ROW = [
  'files.id',
  'files.owner',
  'files.name',
  'files.type',
  'files.uploaded_at as uploadedAt',
  'contents.id as contentId',
  'contents.md5',
  'contents.sha1',
  'contents.sha256',
  'contents.size',
  'contents.variant',
  'contents.key',
  'contents.published_at as publishedAt',
] as const;

/** The path of a row's folder: null at the top, which costs nothing. */
export const FOLDER_PATH = sql<string | null>`case when files.folder_id is not null then (
  with recursive up (parent_id, path) as (
    select parent_id, name from folders where folders.id = files.folder_id
    union all
    select folders.parent_id, folders.name || '/' || up.path from up join folders on folders.id = up.parent_id
  ) select path from up where parent_id = 0
) end`;

/** A query of all files with their contents, to which callers add conditions. */
export function selectFiles(db: Kysely<Tables>) {
  return selectBareFiles(db).select(FOLDER_PATH.as('folderPath'));
}

/** The same without the paths of their folders. */
export function selectBareFiles(db: Kysely<Tables>) {
  return db.selectFrom('files').innerJoin('contents', 'contents.id', 'files.content_id').select(FILE_ROW);
}

/** The record of a row. */
export function toFileRecord(row: FileRow): FileRecord {
  const { id, owner, name, type, folderPath, uploadedAt, contentId, ...content } = row;
  return { id, owner, name: joinPath(folderPath, name), type, uploadedAt, content: { id: contentId, ...content } };
}

/** Prepares the lookup of one file of an owner. */
export function prepareSelectFile(db: Kysely<Tables>) {
  return prepare((by: FileOfOwner) => isFile(selectFiles(db), by));
}

/** Prepares the lock on a file to be deleted: on its content first, as transactions do that add a file to it. */
export function prepareLockFile(db: Kysely<Tables>, { locked }: QueryDialect) {
  return prepare((by: FileOfOwner) =>
    locked(isFile(selectBareFiles(db), by).select('files.folder_id as folderId'), ['contents', 'files']),
  );
}

/** Prepares the lock and the lookup: until the transaction ends, the file has the path that was found. */
export function prepareHoldFile(db: Kysely<Tables>, dialect: QueryDialect) {
  const lockFile = prepareLockFile(db, dialect);
  const selectAgain = prepareSelectFile(db);

  return async function holdFile(trx: Executor, by: FileOfOwner): Promise<FileRow | undefined> {
    const row = await lockFile.first(trx, by);
    if (!row) return undefined;
    const { folderId, ...bare } = row;
    if (folderId === null) return { ...bare, folderPath: null };
    await dialect.hold(trx, treeOf(by.owner), 'shared');
    return selectAgain.first(trx, by);
  };
}

type FileOfOwner = { id: string; owner: string };

function isFile<Query extends Pick<ReturnType<typeof selectBareFiles>, 'where'>>(files: Query, by: FileOfOwner): Query {
  return files.where('files.id', '=', by.id).where('files.owner', '=', by.owner) as unknown as Query;
}

/** The name of the lock on all of an owner's folders: shared by those that add and delete files, alone for those that move. */
export function treeOf(owner: string): string {
  return `folders of ${owner}`;
}

/** Prepares the insertion of a file into a folder; null: at the top. */
export function prepareInsertFile(db: Kysely<Tables>, clock: SqlClock) {
  type Values = Omit<NewFile, 'onConflict' | 'fateOfReplaced'> & {
    foldedName: string;
    contentId: number;
    size: number;
    folderId: number | null;
  };
  const insert = prepare((file: Values) =>
    db
      .insertInto('files')
      .values({
        id: file.id,
        owner: file.owner,
        name: file.name,
        folded_name: file.foldedName,
        type: file.type,
        uploaded_at: clock.wall,
        content_id: file.contentId,
        size: file.size,
        folder_id: file.folderId,
      })
      .returning('uploaded_at as uploadedAt'),
  );

  return async function insertFile(
    executor: Executor,
    { id, owner, name, type }: NewFile,
    content: ContentRecord,
    folderId: number | null,
  ): Promise<FileRecord> {
    const last = lastPart(name);
    const values = { id, owner, name: last, foldedName: foldName(last), type, folderId };
    const inserted = await insert.first(executor, { ...values, contentId: content.id, size: content.size });
    if (!inserted) throw new CatalogError('failed', `file ${id} was not recorded`);
    return { id, owner, name, type, ...inserted, content };
  };
}
