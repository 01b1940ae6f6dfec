/** Store keys whose bytes are to be removed, because no content names them any more. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepare } from './prepare.ts';

/** Prepares the insertion of a key whose bytes are to be removed. */
export function prepareInsertRemoval(db: Kysely<Tables>) {
  return prepare((by: { key: string; md5: string }) =>
    db
      .insertInto('removals')
      .values({ key: by.key, md5: by.md5 })
      .onConflict((conflict) => conflict.column('key').doNothing()),
  );
}

/** Prepares the deletion of a key whose bytes are removed, or in use again. */
export function prepareDeleteRemoval(db: Kysely<Tables>) {
  return prepare((by: { key: string }) => db.deleteFrom('removals').where('key', '=', by.key));
}

/** Prepares the queries on removals. */
export function createRemovalQueries(
  db: Kysely<Tables>,
): Pick<Catalog, 'listRemovals' | 'isRemovalDue' | 'removalDone'> {
  const selectRemovals = prepare((by: { after: number; limit: number }) =>
    db.selectFrom('removals').select(['id', 'key', 'md5']).where('id', '>', by.after).orderBy('id').limit(by.limit),
  );

  const selectRemoval = prepare((by: { key: string }) =>
    db.selectFrom('removals').select('id').where('key', '=', by.key),
  );

  const deleteRemoval = prepareDeleteRemoval(db);

  return {
    listRemovals(after, limit) {
      return selectRemovals.rows(db, { after, limit });
    },

    async isRemovalDue(key) {
      return (await selectRemoval.first(db, { key })) !== undefined;
    },

    async removalDone(key) {
      await deleteRemoval.changes(db, { key });
    },
  };
}
