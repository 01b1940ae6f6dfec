/** Claims: which node does which work in the background. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { aliveAfter, type NodeDialect } from './nodes.ts';
import { prepare } from './prepare.ts';

/** Prepares the queries on claims. None of their changes has to be durable: see `RelaxedQuery`. */
export function createClaimQueries(
  db: Kysely<Tables>,
  dialect: NodeDialect,
): Pick<Catalog, 'claim' | 'unclaim' | 'forgetClaims'> {
  const now = dialect.clock.steady;

  const deleteEndedClaims = prepare(() => db.deleteFrom('claims').where('until', '<=', now), { relaxed: true });

  // A dead node's claims are free at once.
  const claimantAlive = db
    .selectFrom('nodes')
    .select('nodes.id')
    .where('nodes.id', '=', sql.ref<string>('claims.node'))
    .where('seen_at', '>', aliveAfter(dialect));

  const insertClaim = prepare(
    (by: { name: string; node: string; forMs: number }) =>
      db
        .insertInto('claims')
        .values({ name: by.name, node: by.node, until: sql<number>`${now} + ${by.forMs}` })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet((eb) => ({ node: eb.ref('excluded.node'), until: eb.ref('excluded.until') }))
            // Its own: the answer to an earlier claim was lost.
            .where((eb) =>
              eb.or([
                eb('claims.node', '=', eb.ref('excluded.node')),
                eb('claims.until', '<=', now),
                eb.not(eb.exists(claimantAlive)),
              ]),
            ),
        ),
    { relaxed: true },
  );

  const deleteClaim = prepare(
    (by: { name: string; node: string }) =>
      db.deleteFrom('claims').where('name', '=', by.name).where('node', '=', by.node),
    { relaxed: true },
  );

  return {
    async claim(name, node, forMs) {
      return (await insertClaim.changes(db, { name, node, forMs })) === 1;
    },

    async unclaim(name, node) {
      await deleteClaim.changes(db, { name, node });
    },

    async forgetClaims() {
      await deleteEndedClaims.changes(db, {});
    },
  };
}
