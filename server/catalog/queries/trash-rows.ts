/** What the queries on the trash have in common: their columns, how files come into it, and how they leave it for good. */
import type { Kysely } from 'kysely';
import type { RemovedContent } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { TrashedFile, TrashSelection } from '../trash.ts';
import type { SqlClock } from './clock.ts';
import { type FileRow, toFileRecord } from './file-rows.ts';
import { type Executor, prepare } from './prepare.ts';
import { prepareInsertRemoval } from './removals.ts';
import { prepareKeepLinkFolders } from './trash-link-folders.ts';

/** The most files of one transaction: more would block the main thread for too long. */
export const MOST_TRASHED = 64;

/** A file in the trash with its content, as one flat row. `name`: the whole path. */
export interface TrashRow extends Omit<FileRow, 'folderPath'> {
  deletedAt: number;
  deletion: string | null;
  depth: number | null;
}

const TRASH_ROW = [
  'trash.id',
  'trash.owner',
  'trash.name',
  'trash.type',
  'trash.uploaded_at as uploadedAt',
  'trash.deleted_at as deletedAt',
  'trash.deletion',
  'trash.depth',
  'contents.id as contentId',
  'contents.md5',
  'contents.sha1',
  'contents.sha256',
  'contents.size',
  'contents.variant',
  'contents.key',
  'contents.published_at as publishedAt',
] as const;

/** A query of all files in the trash with their contents, to which callers add conditions. */
export function selectTrash(db: Kysely<Tables>) {
  return db.selectFrom('trash').innerJoin('contents', 'contents.id', 'trash.content_id').select(TRASH_ROW);
}

/** The record of a row. */
export function toTrashedFile({ deletedAt, deletion, depth, ...row }: TrashRow): TrashedFile {
  const file = toFileRecord({ ...row, folderPath: null });
  const folder = row.name
    .split('/')
    .slice(0, depth ?? 0)
    .join('/');
  return { ...file, deletedAt, deletion: deletion === null ? null : { id: deletion, folder } };
}

/** The deletion of a folder. */
export interface FolderDeletion {
  id: string;
  /** How many parts its path has. */
  depth: number;
}

/** Prepares the step of a deletion that brings a file into the trash, before its row goes. */
export function prepareTrashFile(db: Kysely<Tables>, clock: SqlClock) {
  type Values = Pick<
    TrashRow,
    'id' | 'owner' | 'name' | 'type' | 'uploadedAt' | 'contentId' | 'size' | 'deletion' | 'depth'
  >;
  const insert = prepare((file: Values) =>
    db.insertInto('trash').values({
      id: file.id,
      owner: file.owner,
      name: file.name,
      type: file.type,
      uploaded_at: file.uploadedAt,
      content_id: file.contentId,
      size: file.size,
      deleted_at: clock.latest,
      deletion: file.deletion,
      depth: file.depth,
    }),
  );
  const keepLinks = prepare((by: { fileId: string }) =>
    db
      .insertInto('trash_links')
      .columns(['link_id', 'position', 'file_id'])
      .expression(
        db.selectFrom('link_files').select(['link_id', 'position', 'file_id']).where('file_id', '=', by.fileId),
      ),
  );

  const keepLinkFolders = prepareKeepLinkFolders(db);

  return async function trashFile(trx: Executor, row: FileRow, folder: FolderDeletion | null): Promise<void> {
    const { id, owner, type, uploadedAt, contentId, size } = row;
    const { name } = toFileRecord(row);
    const file = { id, owner, name, type, uploadedAt, contentId, size };
    await insert.changes(trx, { ...file, deletion: folder?.id ?? null, depth: folder?.depth ?? null });
    await keepLinks.changes(trx, { fileId: id });
    await keepLinkFolders(trx, id, row.folderPath);
  };
}

/** Prepares the lock on files in the trash: on their contents first, each in the order of their ids. */
export function createHoldTrash(db: Kysely<Tables>, { locked }: QueryDialect) {
  return async function holdTrash(trx: Executor, ids: readonly string[]): Promise<TrashRow[]> {
    if (ids.length === 0) return [];
    const some = selectTrash(db).where('trash.id', 'in', ids).orderBy('contents.id').orderBy('trash.id');
    return (await trx.executeQuery(locked(some, ['contents', 'trash']).compile())).rows;
  };
}

/** Prepares the deletion of a content that neither a file nor the trash needs. Its row is locked. */
export function prepareDeleteUnused(db: Kysely<Tables>) {
  const deleteUnused = prepare((by: { id: number }) =>
    db
      .deleteFrom('contents')
      .where('id', '=', by.id)
      .where((eb) =>
        eb.not(eb.exists(eb.selectFrom('files').select('files.id').whereRef('files.content_id', '=', 'contents.id'))),
      )
      .where((eb) =>
        eb.not(eb.exists(eb.selectFrom('trash').select('trash.id').whereRef('trash.content_id', '=', 'contents.id'))),
      )
      .returning(['key', 'md5']),
  );
  const insertRemoval = prepareInsertRemoval(db);

  return async function deleteContentIfUnused(trx: Executor, contentId: number): Promise<RemovedContent | null> {
    const removed = await deleteUnused.first(trx, { id: contentId });
    if (removed) await insertRemoval.changes(trx, removed);
    return removed ?? null;
  };
}

/** Prepares the step that takes a file's row out of the trash, with its places in links. */
export function prepareLeaveTrash(db: Kysely<Tables>) {
  return prepare((by: { id: string }) => db.deleteFrom('trash').where('id', '=', by.id));
}

/**
 * Runs a transaction that chooses some files of the trash and takes those that are there once they are locked. Where another one has
 * taken all of them meanwhile, it chooses others: an end is only where there was none to choose.
 */
export async function untilTaken<Result>(
  db: Kysely<Tables>,
  which: TrashSelection,
  run: (trx: Executor) => Promise<{ chosen: number; taken: number; result: Result }>,
): Promise<Result> {
  for (;;) {
    const { chosen, taken, result } = await db.transaction().execute(run);
    if (taken > 0 || chosen === 0 || 'ids' in which) return result;
  }
}
