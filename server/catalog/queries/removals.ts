/**
 * Store keys whose bytes are to be removed, because no content names them any more. Removal and publication meet in the
 * key's row: a removal is claimed only where no content has the key, and a publication under a key that is being removed
 * is a conflict.
 */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { aliveAfter, type NodeDialect } from './nodes.ts';
import { type Executor, prepare } from './prepare.ts';

/** Prepares the insertion of a key whose bytes are to be removed. */
export function prepareInsertRemoval(db: Kysely<Tables>) {
  return prepare((by: { key: string; md5: string }) =>
    db
      .insertInto('removals')
      .values({ key: by.key, md5: by.md5 })
      .onConflict((conflict) => conflict.column('key').doNothing()),
  );
}

function prepareDeleteRemoval(db: Kysely<Tables>) {
  return prepare((by: { key: string }) => db.deleteFrom('removals').where('key', '=', by.key));
}

/**
 * Prepares the step of a publication that cancels the removal of a key, once the content's row has the key. It returns
 * false where a node is removing the bytes at this moment.
 */
export function prepareKeepKey(db: Kysely<Tables>, { locked }: QueryDialect, nodes: NodeDialect) {
  const claimed = isClaimed(db, nodes);
  const select = prepare((by: { key: string }) =>
    locked(
      db
        .selectFrom('removals')
        .select(sql<number>`case when ${claimed} then 1 else 0 end`.as('isClaimed'))
        .where('key', '=', by.key),
    ),
  );
  const deleteRemoval = prepareDeleteRemoval(db);

  return async function keepKey(trx: Executor, key: string): Promise<boolean> {
    const removal = await select.first(trx, { key });
    if (removal?.isClaimed === 1) return false;
    if (removal) await deleteRemoval.changes(trx, { key });
    return true;
  };
}

/** Whether a live node has claimed the surrounding query's row of `removals`, and the claim has not expired. */
function isClaimed(db: Kysely<Tables>, nodes: NodeDialect) {
  const claimantAlive = db
    .selectFrom('nodes')
    .select('nodes.id')
    .where('nodes.id', '=', sql.ref<string>('removals.node'))
    .where('seen_at', '>', aliveAfter(nodes));
  return sql<boolean>`(removals.until > ${nodes.clock.steady} and exists ${claimantAlive})`;
}

/** Prepares the queries on removals. */
export function createRemovalQueries(
  db: Kysely<Tables>,
  nodes: NodeDialect,
): Pick<Catalog, 'listRemovals' | 'claimRemoval' | 'unclaimRemoval' | 'removalDone'> {
  const selectRemovals = prepare((by: { after: number; limit: number }) =>
    db.selectFrom('removals').select(['id', 'key', 'md5']).where('id', '>', by.after).orderBy('id').limit(by.limit),
  );

  const claimed = isClaimed(db, nodes);
  const claim = prepare(
    (by: { key: string; node: string; forMs: number }) =>
      db
        .updateTable('removals')
        .set({ node: by.node, until: sql<number>`${nodes.clock.steady} + ${by.forMs}` })
        .where('key', '=', by.key)
        .where(sql<boolean>`(removals.node = ${by.node} or not coalesce(${claimed}, false))`)
        .where((eb) => eb.not(eb.exists(eb.selectFrom('contents').select('contents.id').where('key', '=', by.key)))),
    { relaxed: true },
  );

  const unclaim = prepare(
    (by: { key: string; node: string }) =>
      db.updateTable('removals').set({ node: null, until: null }).where('key', '=', by.key).where('node', '=', by.node),
    { relaxed: true },
  );

  const deleteRemoval = prepareDeleteRemoval(db);

  return {
    listRemovals(after, limit) {
      return selectRemovals.rows(db, { after, limit });
    },

    async claimRemoval(key, node, forMs) {
      return (await claim.changes(db, { key, node, forMs })) === 1;
    },

    async unclaimRemoval(key, node) {
      await unclaim.changes(db, { key, node });
    },

    async removalDone(key) {
      await deleteRemoval.changes(db, { key });
    },
  };
}
