/** What the queries on files have in common: their columns, their names, and how one is inserted. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { type ContentRecord, type FileRecord, type NewFile, CatalogError } from '../catalog.ts';
import { foldName } from '../../wire/fold-name.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';

/** A file with its content, as one flat row. */
export interface FileRow extends NewFile, Omit<ContentRecord, 'id'> {
  uploadedAt: number;
  contentId: number;
}

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

/** A query of all files with their contents, to which callers add conditions. */
export function selectFiles(db: Kysely<Tables>) {
  return db.selectFrom('files').innerJoin('contents', 'contents.id', 'files.content_id').select(FILE_ROW);
}

/** The record of a row. */
export function toFileRecord(row: FileRow): FileRecord {
  const { id, owner, name, type, uploadedAt, contentId, ...content } = row;
  return { id, owner, name, type, uploadedAt, content: { id: contentId, ...content } };
}

/** Prepares the lookup of one file of an owner. */
export function prepareSelectFile(db: Kysely<Tables>) {
  return prepare((by: { id: string; owner: string }) => selectFile(db, by));
}

/** The same for a file to be deleted. Locks the content first, in the same order as transactions that add a file to it. */
export function prepareHoldFile(db: Kysely<Tables>, { locked }: QueryDialect) {
  return prepare((by: { id: string; owner: string }) => locked(selectFile(db, by), ['contents', 'files']));
}

function selectFile(db: Kysely<Tables>, by: { id: string; owner: string }) {
  return selectFiles(db).where('files.id', '=', by.id).where('files.owner', '=', by.owner);
}

/** Prepares the search for an owner's file of a content by its name. */
export function prepareSelectSame(db: Kysely<Tables>) {
  return prepare((by: { contentId: number; owner: string; name: string }) =>
    selectFiles(db)
      .where('files.content_id', '=', by.contentId)
      .where('files.owner', '=', by.owner)
      .where('files.name', '=', by.name)
      .limit(sql.lit(1)),
  );
}

/** Prepares the insertion of a file. */
export function prepareInsertFile(db: Kysely<Tables>, clock: SqlClock) {
  type Values = NewFile & { foldedName: string; contentId: number; size: number };
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
      })
      .returning('uploaded_at as uploadedAt'),
  );

  return async function insertFile(executor: Executor, file: NewFile, content: ContentRecord): Promise<FileRecord> {
    const { id, owner, name, type } = file;
    const record = { id, owner, name, type };
    const inserted = await insert.first(executor, {
      ...record,
      foldedName: foldName(name),
      contentId: content.id,
      size: content.size,
    });
    if (!inserted) throw new CatalogError('failed', `file ${id} was not recorded`);
    return { ...record, ...inserted, content };
  };
}
