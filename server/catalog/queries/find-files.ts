/** Finds many files by their ids. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { type FileRow, selectFiles, toFileRecord } from './file-rows.ts';
import { type Prepared, prepare } from './prepare.ts';

type Values = Record<string, string>;

/** Prepares `findFiles`. */
export function createFindFiles(db: Kysely<Tables>): Pick<Catalog, 'findFiles'> {
  /** By the number of ids that they take. */
  const prepared = new Map<number, Prepared<Values, FileRow>>();

  function prepareFor(count: number): Prepared<Values, FileRow> {
    return prepare((by: Values) => {
      const ids = Array.from({ length: count }, (_, index) => by[`id${index}`] as string);
      return selectFiles(db).where('files.id', 'in', ids);
    });
  }

  return {
    async findFiles(ids, owner) {
      if (ids.length === 0) return [];
      // Ids are repeated up to a power of two, so that there are few different statements: each stays prepared.
      const count = 2 ** Math.ceil(Math.log2(ids.length));
      const query = prepared.get(count) ?? prepareFor(count);
      prepared.set(count, query);
      const values = Array.from({ length: count }, (_, index) => [`id${index}`, ids[Math.min(index, ids.length - 1)]]);
      const rows = await query.rows(db, Object.fromEntries(values));
      // Not a condition of the query: with many ids, SQLite would rather read all files of the owner.
      return rows.filter((row) => owner === null || row.owner === owner).map(toFileRecord);
    },
  };
}
