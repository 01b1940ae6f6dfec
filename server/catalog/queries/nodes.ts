/** Nodes: which processes have the catalog open, and whether they are alive. */
import { sql } from 'kysely';
import type { Kysely, RawBuilder } from 'kysely';
import { type Catalog, NODE_DEAD_AFTER_MS, type NodeAbout } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { createLeftBehind } from './left-behind.ts';
import { prepare } from './prepare.ts';

export type NodeQueries = Pick<
  Catalog,
  'joinNode' | 'listNodes' | 'beatNode' | 'leaveNode' | 'isNodeAlive' | 'forgetNodes'
>;

/** How nodes differ between dialects. */
export interface NodeDialect {
  clock: SqlClock;
  /** Whether several nodes may have the catalog open. Where only one may, it counts as alive without heartbeats. */
  isShared: boolean;
}

/** How long a dead node is remembered, so that doctor and operators can see it. */
const NODE_FORGOTTEN_AFTER_MS = 3_600_000;

/** A node that was last seen after this time is alive. */
export function aliveAfter({ clock, isShared }: NodeDialect): RawBuilder<number> {
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

/** Prepares the list of the nodes that are alive. */
export function prepareSelectAlive(db: Kysely<Tables>, dialect: NodeDialect) {
  return prepare(() => db.selectFrom('nodes').select('id').where('seen_at', '>', aliveAfter(dialect)));
}

/** Prepares the queries on nodes. None of their changes has to be durable: see `RelaxedQuery`. */
export function createNodeQueries(db: Kysely<Tables>, dialect: NodeDialect, { oneAtATime }: QueryDialect): NodeQueries {
  const now = dialect.clock.steady;
  const aliveSince = aliveAfter(dialect);
  const leftBehind = createLeftBehind(db, dialect);

  const insertNode = prepareInsertNode(db, dialect);

  const isAlive = sql<number>`case when seen_at > ${aliveSince} then 1 else 0 end`.as('isAlive');
  const selectNodes = prepare(() =>
    db
      .selectFrom('nodes')
      .select(['id', 'name', 'version', 'process', 'is_alone as isAlone', 'started_at as startedAt'])
      .select(['seen_at as seenAt', isAlive]),
  );

  async function listNodes() {
    const rows = await selectNodes.rows(db, {});
    return rows.map((row) => ({ ...row, isAlone: row.isAlone === 1, isAlive: row.isAlive === 1 }));
  }

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

  return {
    async joinNode(id, about) {
      const values = { id, ...about, isAlone: about.isAlone ? 1 : 0 };
      for (;;) {
        // One at a time: where two join at once, and one of them has to be alone, the later one sees the other.
        const changes = await oneAtATime(db, 'nodes', (executor) => insertNode.changes(executor, values));
        if (changes === 1) return [];
        const others = await listNodes();
        const inTheWay = others.filter((node) => node.id !== id && node.isAlive && (about.isAlone || node.isAlone));
        // None: those that prevented it have left or died meanwhile. Try again.
        if (inTheWay.length > 0) return inTheWay;
      }
    },

    listNodes,

    async beatNode(id) {
      return (await beat.changes(db, { id })) === 1;
    },

    async leaveNode(id) {
      // Together: nothing else would be left that says so.
      await db.transaction().execute(async (trx) => {
        await deleteNode.changes(trx, { id });
        await leftBehind.note(trx);
      });
    },

    async isNodeAlive(id) {
      return (await selectAlive.first(db, { id })) !== undefined;
    },

    async forgetNodes() {
      if (dialect.isShared) await deleteDead.changes(db, {});
    },
  };
}

/** Prepares the statement by which a node joins, unless a living node prevents it. */
function prepareInsertNode(db: Kysely<Tables>, dialect: NodeDialect) {
  const now = dialect.clock.steady;
  return prepare(
    (by: Omit<NodeAbout, 'isAlone'> & { id: string; isAlone: number }) => {
      const inTheWay = db
        .selectFrom('nodes')
        .select('nodes.id')
        .where('nodes.id', '<>', by.id)
        .where('seen_at', '>', aliveAfter(dialect))
        .where((eb) => eb.or([eb('is_alone', '=', sql.lit(1)), eb(eb.val(by.isAlone), '=', sql.lit(1))]));
      const values = {
        id: by.id,
        name: by.name,
        version: by.version,
        process: by.process,
        is_alone: by.isAlone,
        started_at: now,
        seen_at: now,
      };
      const columns = Object.keys(values) as (keyof typeof values)[];
      return db
        .insertInto('nodes')
        .columns(columns)
        .expression(
          db
            .selectNoFrom(columns.map((name) => sql`${values[name]}`.as(name)))
            .where((eb) => eb.not(eb.exists(inTheWay))),
        )
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: now }));
    },
    { relaxed: true },
  );
}
