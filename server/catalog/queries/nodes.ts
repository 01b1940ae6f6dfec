/** Nodes, and what each of them has claimed for its work in the background. */
import { sql } from 'kysely';
import type { Kysely, RawBuilder } from 'kysely';
import { type Catalog, NODE_DEAD_AFTER_MS } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';

export type NodeQueries = Pick<
  Catalog,
  'joinNode' | 'beatNode' | 'leaveNode' | 'isNodeAlive' | 'forgetNodes' | 'claim' | 'unclaim'
>;

/** What a dialect knows about its nodes. */
export interface NodeDialect {
  clock: SqlClock;
  /** Whether several nodes may have the catalog open. A node alone is alive for as long as it has joined. */
  isShared: boolean;
}

/** How long a dead node is remembered, so that doctor and operators can see it. */
const NODE_FORGOTTEN_AFTER_MS = 3_600_000;

/** A node that was last seen after this time is alive. */
function aliveAfter({ clock, isShared }: NodeDialect): RawBuilder<number> {
  return isShared ? sql<number>`(${clock.steady} - ${sql.lit(NODE_DEAD_AFTER_MS)})` : sql<number>`-1`;
}

/** The holder of the row of `uploads` around this query, where it is alive. */
export function selectAliveHolder(db: Kysely<Tables>, dialect: NodeDialect) {
  return db
    .selectFrom('nodes')
    .select('nodes.id')
    .where('nodes.id', '=', sql.ref<string>('uploads.holder'))
    .where('seen_at', '>', aliveAfter(dialect));
}

/** Prepares the queries on nodes and their claims. None of them waits for the disk: see `relaxed`. */
export function createNodeQueries(db: Kysely<Tables>, dialect: NodeDialect): NodeQueries {
  const now = dialect.clock.steady;
  const aliveSince = aliveAfter(dialect);

  const insertNode = prepare(
    (by: { id: string }) =>
      db
        .insertInto('nodes')
        .values({ id: by.id, seen_at: now })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: now })),
    { relaxed: true },
  );

  const beat = prepare(
    (by: { id: string }) =>
      db.updateTable('nodes').set({ seen_at: now }).where('id', '=', by.id).where('seen_at', '>', aliveSince),
    { relaxed: true },
  );

  const deleteNode = prepare((by: { id: string }) => db.deleteFrom('nodes').where('id', '=', by.id), {
    relaxed: true,
  });

  const selectAlive = prepare((by: { id: string }) =>
    db.selectFrom('nodes').select('id').where('id', '=', by.id).where('seen_at', '>', aliveSince),
  );

  const deleteDead = prepare(
    () => db.deleteFrom('nodes').where('seen_at', '<', sql<number>`${now} - ${sql.lit(NODE_FORGOTTEN_AFTER_MS)}`),
    { relaxed: true },
  );

  const deleteEndedClaims = prepare(() => db.deleteFrom('claims').where('until', '<=', now), { relaxed: true });

  const insertClaim = prepare(
    (by: { name: string; node: string; forMs: number }) =>
      db
        .insertInto('claims')
        .values({ name: by.name, node: by.node, until: sql<number>`${now} + ${by.forMs}` })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet((eb) => ({ node: eb.ref('excluded.node'), until: eb.ref('excluded.until') }))
            .where('claims.until', '<=', now),
        ),
    { relaxed: true },
  );

  const deleteClaim = prepare(
    (by: { name: string; node: string }) =>
      db.deleteFrom('claims').where('name', '=', by.name).where('node', '=', by.node),
    { relaxed: true },
  );

  return {
    async joinNode(id) {
      await insertNode.changes(db, { id });
    },

    async beatNode(id) {
      return (await beat.changes(db, { id })) === 1;
    },

    async leaveNode(id) {
      await deleteNode.changes(db, { id });
    },

    async isNodeAlive(id) {
      return (await selectAlive.first(db, { id })) !== undefined;
    },

    async forgetNodes() {
      if (dialect.isShared) await deleteDead.changes(db, {});
      await deleteEndedClaims.changes(db, {});
    },

    async claim(name, node, forMs) {
      return (await insertClaim.changes(db, { name, node, forMs })) === 1;
    },

    async unclaim(name, node) {
      await deleteClaim.changes(db, { name, node });
    },
  };
}
