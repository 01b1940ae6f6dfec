/** Finds many files by their ids. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { type FileRow, selectFiles, toFileRecord } from './file-rows.ts';
import { type Prepared, prepare } from './prepare.ts';

type Values = Record<string, string>;

/** Prepares `findFiles`. */
export function createFindFiles(db: Kysely<Tables>): Pick<Catalog, 'findFiles'> {
  /** By the number of ids that they take, and whether they are about one owner. */
  const prepared = new Map<string, Prepared<Values, FileRow>>();

  function prepareFor(count: number, isOfOwner: boolean): Prepared<Values, FileRow> {
    return prepare((by: Values) => {
      const ids = Array.from({ length: count }, (_, index) => by[`id${index}`] as string);
      const some = selectFiles(db).where('files.id', 'in', ids);
      return isOfOwner ? some.where('files.owner', '=', by['owner'] as string) : some;
    });
  }

  return {
    async findFiles(ids, owner) {
      if (ids.length === 0) return [];
      // Ids are repeated up to a power of two, so that there are few different statements: each stays prepared.
      const count = 2 ** Math.ceil(Math.log2(ids.length));
      const key = `${count} ${owner !== null}`;
      const query = prepared.get(key) ?? prepareFor(count, owner !== null);
      prepared.set(key, query);
      const values = Array.from({ length: count }, (_, index) => [`id${index}`, ids[Math.min(index, ids.length - 1)]]);
      const rows = await query.rows(db, { ...Object.fromEntries(values), ...(owner === null ? {} : { owner }) });
      return rows.map(toFileRecord);
    },
  };
}
