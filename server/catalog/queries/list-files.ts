/** Lists an owner's files page by page, sorted by one of three indexes. */
import type { Kysely } from 'kysely';
import { foldName } from '../../wire/fold-name.ts';
import type { Catalog, FileRecord, FileSort } from '../catalog.ts';
import { encodeCursor } from '../cursor.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { type ListedRow, selectListing, toFileListing } from './file-listing.ts';
import { toFileRecord } from './file-rows.ts';
import { prepare, rowsAside } from './prepare.ts';
import { createSearchFiles } from './search-files.ts';

/** Prepares `listFiles` and `totalOf`. */
export function createListFiles(db: Kysely<Tables>, dialect: QueryDialect): Pick<Catalog, 'listFiles' | 'totalOf'> {
  const selectTotal = prepare((by: { owner: string }) =>
    db.selectFrom('owner_totals').select(['files', 'bytes']).where('owner', '=', by.owner),
  );
  const searchFiles = createSearchFiles(db, dialect);

  return {
    totalOf: async (owner) => (await selectTotal.first(db, { owner })) ?? { files: 0, bytes: 0 },

    async listFiles(query) {
      const { limit, sort, descending, search } = query;
      const listing = toFileListing(query);
      const { rows, left } = search
        ? await searchFiles(listing, foldName(search))
        : { rows: await rowsAside(db, selectListing(db, listing)), left: null };
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const end = last && rows.length > limit ? { value: sortValue(last, sort), id: last.id } : left;
      return { files: page.map(toListed), nextCursor: end && encodeCursor({ sort, descending }, end) };
    },
  };
}

function toListed(row: ListedRow): FileRecord {
  const { folded, ...file } = row;
  void folded;
  return toFileRecord(file);
}

function sortValue(row: ListedRow, sort: FileSort): string | number {
  if (sort === 'name') return row.folded;
  return sort === 'size' ? row.size : row.uploadedAt;
}
