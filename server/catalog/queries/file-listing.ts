/** The parts that queries for listings of files share. */
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { FileQuery, FileSort } from '../catalog.ts';
import { decodeCursor, type Position } from '../cursor.ts';
import type { Tables } from '../schema.ts';
import { type FileRow, selectFiles } from './file-rows.ts';

/** The column of each sort; equal values are sorted by id. */
export const SORT_COLUMNS = {
  uploaded: 'uploaded_at',
  name: 'folded_name',
  size: 'size',
} as const satisfies Record<FileSort, string>;

/** A file in a listing. `folded`: its folded name as it is stored; another version of Unicode may fold the name otherwise. */
export interface ListedRow extends FileRow {
  folded: string;
}

/** A query of files as they are listed, to which callers add conditions. */
export function selectListed(db: Kysely<Tables>) {
  return selectFiles(db).select('files.folded_name as folded');
}

export type SortColumn = (typeof SORT_COLUMNS)[FileSort];

/** `count` of the owner's files in this order, after this position. */
export interface FileListing {
  owner: string;
  column: SortColumn;
  direction: 'asc' | 'desc';
  after: Position | undefined;
  count: number;
}

/** @throws CatalogError `invalid_cursor`. */
export function toFileListing({ owner, sort, descending, cursor, limit }: FileQuery): FileListing {
  return {
    owner,
    column: SORT_COLUMNS[sort],
    direction: descending ? 'desc' : 'asc',
    after: cursor === undefined ? undefined : decodeCursor({ sort, descending }, cursor),
    // One more row than requested: where it exists, another page follows.
    count: limit + 1,
  };
}

/** The files of a listing with their contents, along the index of its order. */
export function selectListing(db: Kysely<Tables>, listing: FileListing) {
  const { column, direction, count } = listing;
  return selectListed(db)
    .where(isListed(listing))
    .orderBy(`files.${column}`, direction)
    .orderBy('files.id', direction)
    .limit(count);
}

/** Whether a row of `files` is the owner's and comes after the position. */
export function isListed({ owner, column, direction, after }: FileListing): RawBuilder<SqlBool> {
  const isOwned = sql<SqlBool>`"files"."owner" = ${owner}`;
  if (!after) return isOwned;
  const isAfter = sql.raw(direction === 'desc' ? '<' : '>');
  return sql`${isOwned} and ("files".${sql.ref(column)}, "files"."id") ${isAfter} (${after.value}, ${after.id})`;
}

/** Whether a row of `files` comes before the position, or is there. */
export function isUpTo({ column, direction }: FileListing, { value, id }: Position): RawBuilder<SqlBool> {
  return sql`("files".${sql.ref(column)}, "files"."id") ${sql.raw(direction === 'desc' ? '>=' : '<=')} (${value}, ${id})`;
}

/** The order of a listing, among the rows of this table. */
export function orderOf({ column, direction }: FileListing, table: string): RawBuilder<unknown> {
  const way = sql.raw(direction);
  return sql`order by ${sql.ref(`${table}.${column}`)} ${way}, ${sql.ref(`${table}.id`)} ${way}`;
}
