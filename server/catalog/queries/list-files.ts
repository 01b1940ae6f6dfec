/** Lists an owner's files page by page, sorted by one of three indexes. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, FileSort } from '../catalog.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { foldName, selectFiles, toFileRecord } from './file-rows.ts';
import type { FileRow } from './file-rows.ts';
import { prepare } from './prepare.ts';

/** The column of each sort; equal values are sorted by id. */
const SORT_COLUMNS = {
  uploaded: 'files.uploaded_at',
  name: 'files.folded_name',
  size: 'files.size',
} as const satisfies Record<FileSort, string>;

/** Prepares `listFiles` and `totalOf`. */
export function createListFiles(
  db: Kysely<Tables>,
  { contains }: QueryDialect,
): Pick<Catalog, 'listFiles' | 'totalOf'> {
  const selectTotal = prepare((by: { owner: string }) =>
    db.selectFrom('owner_totals').select(['files', 'bytes']).where('owner', '=', by.owner),
  );

  return {
    totalOf: async (owner) => (await selectTotal.first(db, { owner })) ?? { files: 0, bytes: 0 },

    async listFiles({ owner, limit, sort, descending, search, cursor }) {
      const column = SORT_COLUMNS[sort];
      const direction = descending ? 'desc' : 'asc';
      let query = selectFiles(db)
        .where('files.owner', '=', owner)
        .orderBy(column, direction)
        .orderBy('files.id', direction)
        // One more row than requested: where it exists, another page follows.
        .limit(limit + 1);
      if (search !== undefined && search !== '') {
        query = query.where(contains(sql.ref('files.folded_name'), foldName(search)));
      }
      if (cursor !== undefined) {
        const after = decodeCursor({ sort, descending }, cursor);
        query = query.where((eb) =>
          eb(eb.refTuple(column, 'files.id'), descending ? '<' : '>', eb.tuple(after.value, after.id)),
        );
      }

      const rows = await query.execute();
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return {
        files: page.map(toFileRecord),
        nextCursor:
          last && rows.length > limit
            ? encodeCursor({ sort, descending }, { value: sortValue(last, sort), id: last.id })
            : null,
      };
    },
  };
}

function sortValue(row: FileRow, sort: FileSort): string | number {
  if (sort === 'name') return foldName(row.name);
  return sort === 'size' ? row.size : row.uploadedAt;
}
