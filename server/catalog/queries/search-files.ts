/**
 * Searches an owner's files for a part of the name. A part that many names contain is found soon along the index of the
 * order; one that few names contain, by an index of the pieces of names. Only trying shows which applies: the planner's
 * estimates are too far off to leave the choice to it. Why: docs/decisions/0046.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type FileListing, isListed, orderOf, selectListing } from './file-listing.ts';
import { type FileRow, selectFiles } from './file-rows.ts';

/** How many files of the listing the first try reads. */
const FIRST_LOOK = 2_000;
/** What the index of pieces finds has to be sorted. If it finds more than this, the search walks along the order instead. */
const MOST_FOUND = 5_000;

/** Finds the files of a listing whose folded name contains this. */
export type SearchFiles = (listing: FileListing, part: string) => Promise<FileRow[]>;

/** Prepares the search. */
export function createSearchFiles(db: Kysely<Tables>, dialect: QueryDialect): SearchFiles {
  const { contains, nameIndex } = dialect;
  if (!nameIndex) {
    return (listing, part) =>
      selectListing(db, listing)
        .where(contains(sql.ref('files.folded_name'), part))
        .execute();
  }
  const look = createWalk(db, dialect, sql`limit ${sql.lit(FIRST_LOOK)}`);
  const lookUp = createLookUp(db, dialect);
  const walk = createWalk(db, dialect, sql``);
  return async (listing, part) => {
    if (!nameIndex.knows(part)) return walk(listing, part);
    const seen = await look(listing, part);
    if (seen.length === listing.count) return seen;
    return (await lookUp(listing, part)) ?? walk(listing, part);
  };
}

/**
 * Prepares the search along the index of the order; with a limit, only among the first files. If that index contains the
 * name, only matching rows are read.
 */
function createWalk(db: Kysely<Tables>, { contains }: QueryDialect, limit: RawBuilder<unknown>): SearchFiles {
  return (listing, part) => {
    const { column, direction, count } = listing;
    const columns = [...new Set(['id', 'folded_name', column])].map((name) => sql.ref(name));
    const walked = sql<{ id: string }>`(
      select ${sql.join(columns)} from files where ${isListed(listing)} ${orderOf(listing, 'files')} ${limit})`;
    return selectFiles(db)
      .innerJoin(walked.as('walked'), 'walked.id', 'files.id')
      .where(contains(sql.ref('walked.folded_name'), part))
      .orderBy(sql.ref(`walked.${column}`), direction)
      .orderBy('walked.id', direction)
      .limit(count)
      .execute();
  };
}

/** Prepares the search by the index of pieces; it returns undefined where the index finds more than `MOST_FOUND`. */
function createLookUp(
  db: Kysely<Tables>,
  { contains, nameIndex }: QueryDialect,
): (...by: Parameters<SearchFiles>) => Promise<FileRow[] | undefined> {
  return async (listing, part) => {
    const { owner, column, direction, count } = listing;
    const mayContain = nameIndex?.mayContain(owner, part) ?? sql`true`;
    // `materialized`: PostgreSQL then plans to read `matching` whole, but reads only as many rows as `found` needs.
    const page = sql<{ id: string; total: number }>`(
      with matching as materialized (
        select id, ${sql.ref(column)} from files
        where ${isListed(listing)} and ${mayContain} and ${contains(sql.ref('files.folded_name'), part)}
      ), found as materialized (select * from matching limit ${sql.lit(MOST_FOUND + 1)})
      select *, (select count(*) from found) as total from found ${orderOf(listing, 'found')} limit ${count})`;
    const rows = await selectFiles(db)
      .innerJoin(page.as('page'), 'page.id', 'files.id')
      .select('page.total')
      .orderBy(sql.ref(`page.${column}`), direction)
      .orderBy('page.id', direction)
      .execute();
    const files: FileRow[] = [];
    for (const { total, ...row } of rows) {
      if (total > MOST_FOUND) return undefined;
      files.push(row);
    }
    return files;
  };
}
