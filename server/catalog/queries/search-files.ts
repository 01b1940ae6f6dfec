/**
 * Searches an owner's files for a part of the name. A part that many names contain is found soon along the index of the
 * order; one that few names contain, by an index of the pieces of names. Only trying shows which applies: the planner's
 * estimates are too far off to leave the choice to it. Where neither is quick, a page ends early, and the next one continues.
 * Why: docs/decisions/0056-searches-and-the-main-thread.md.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Position } from '../cursor.ts';
import type { Narrowed, QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type FileListing, isListed, isUpTo, type ListedRow, orderOf, selectListed } from './file-listing.ts';
import { rowsAside } from './prepare.ts';

/** How many files of the listing the first try reads. */
const FIRST_LOOK = 2_000;
/** What the index of pieces finds has to be sorted. If it finds more than this, the search walks along the order instead. */
const MOST_FOUND = 2_000;
/** How many files one statement of a walk reads: as many as take some milliseconds. */
const STEP = 50_000;
/** After so many steps the page ends. */
const MOST_STEPS = 2;

/** The matching files; `left`: where the search stopped before it had enough of them, and before the end. */
export interface Searched {
  rows: ListedRow[];
  left: Position | null;
}

/** Finds the files of a listing whose folded name contains this. */
export type SearchFiles = (listing: FileListing, part: string) => Promise<Searched>;

/** Prepares the search. */
export function createSearchFiles(db: Kysely<Tables>, dialect: QueryDialect): SearchFiles {
  const { nameIndex } = dialect;
  if (!nameIndex) return (listing, part) => walk(db, dialect, listing, part);
  return async (listing, part) => {
    const seen = await readAlong(db, dialect, { listing, part, within: sql`limit ${sql.lit(FIRST_LOOK)}` });
    if (seen.length === listing.count) return { rows: seen, left: null };
    const narrowed = await nameIndex.narrow(listing.owner, part, MOST_FOUND);
    const rows = narrowed && (await lookUp(db, dialect, { listing, part, narrowed }));
    return rows ? { rows, left: null } : walk(db, dialect, listing, part);
  };
}

/** Reads along the index of the order, step by step. */
async function walk(db: Kysely<Tables>, dialect: QueryDialect, listing: FileListing, part: string) {
  const rows: ListedRow[] = [];
  let { after } = listing;
  for (let step = 0; step < MOST_STEPS; step++) {
    const rest = { ...listing, after, count: listing.count - rows.length };
    const end = await findEnd(db, rest);
    const within = end ? isUpTo(listing, end) : undefined;
    rows.push(...(await readAlong(db, dialect, { listing: rest, part, and: within })));
    if (!end || rows.length === listing.count) return { rows, left: null };
    after = end;
  }
  return { rows, left: after ?? null };
}

/** The last file of a step; undefined where fewer files are left. */
async function findEnd(db: Kysely<Tables>, listing: FileListing): Promise<Position | undefined> {
  const { column, direction } = listing;
  const [end] = await rowsAside(
    db,
    db
      .selectFrom('files')
      .select([`${column} as value`, 'id'])
      .where(isListed(listing))
      .orderBy(`files.${column}`, direction)
      .orderBy('files.id', direction)
      .limit(sql.lit(1))
      .offset(sql.lit(STEP - 1)),
  );
  return end;
}

interface Along {
  listing: FileListing;
  part: string;
  /** A further condition on `files`. */
  and?: RawBuilder<unknown> | undefined;
  /** The end of the statement that reads the names. */
  within?: RawBuilder<unknown>;
}

/** Reads along the index of the order. If that index contains the name, only matching rows are read. */
function readAlong(db: Kysely<Tables>, { contains }: QueryDialect, along: Along): Promise<ListedRow[]> {
  const { listing, part, and, within = sql`` } = along;
  const { column, direction, count } = listing;
  const columns = [...new Set(['id', 'folded_name', column])].map((name) => sql.ref(name));
  const walked = sql<{ id: string }>`(
    select ${sql.join(columns)} from files where ${isListed(listing)} ${and ? sql`and ${and}` : sql``}
    ${orderOf(listing, 'files')} ${within})`;
  return rowsAside(
    db,
    selectListed(db)
      .innerJoin(walked.as('walked'), 'walked.id', 'files.id')
      .where(contains(sql.ref('walked.folded_name'), part))
      .orderBy(sql.ref(`walked.${column}`), direction)
      .orderBy('walked.id', direction)
      .limit(count),
  );
}

/** Searches by the index of pieces; returns undefined where it finds more than `MOST_FOUND`. */
async function lookUp(
  db: Kysely<Tables>,
  { contains }: QueryDialect,
  { listing, part, narrowed }: { listing: FileListing; part: string; narrowed: Narrowed },
): Promise<ListedRow[] | undefined> {
  const { column, direction, count } = listing;
  // `materialized`: PostgreSQL then plans to read `matching` whole, but reads only as many rows as `found` needs.
  const page = sql<{ id: string; total: number }>`(
    with matching as materialized (
      select files.id, ${sql.ref(`files.${column}`)} from ${narrowed.from}
      where ${isListed(listing)} and ${narrowed.where} and ${contains(sql.ref('files.folded_name'), part)}
    ), found as materialized (select * from matching limit ${sql.lit(MOST_FOUND + 1)})
    select *, (select count(*) from found) as total from found ${orderOf(listing, 'found')} limit ${count})`;
  const rows = await rowsAside(
    db,
    selectListed(db)
      .innerJoin(page.as('page'), 'page.id', 'files.id')
      .select('page.total')
      .orderBy(sql.ref(`page.${column}`), direction)
      .orderBy('page.id', direction),
  );
  const files: ListedRow[] = [];
  for (const { total, ...row } of rows) {
    if (total > MOST_FOUND) return undefined;
    files.push(row);
  }
  return files;
}
