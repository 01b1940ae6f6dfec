/** Nodes, and the leases they hold on uploads. */
import { sql } from 'kysely';
import type { Kysely, RawBuilder } from 'kysely';
import { type Catalog, NODE_DEAD_AFTER_MS, type Phase, type UploadRecord } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type LeaseQueries = Pick<
  Catalog,
  | 'takeLease'
  | 'markPublishing'
  | 'releaseLease'
  | 'releaseStale'
  | 'noteArrival'
  | 'joinNode'
  | 'beatNode'
  | 'leaveNode'
  | 'isNodeAlive'
  | 'forgetNodes'
  | 'claim'
  | 'unclaim'
>;

/** What a dialect knows about its nodes. */
export interface NodeDialect {
  /** The time in milliseconds, by the one clock that all nodes share. */
  now: RawBuilder<number>;
  /** Whether several nodes may have the catalog open. A node alone is alive for as long as it has joined. */
  isShared: boolean;
}

/** How long a dead node is remembered, so that doctor and operators can see it. */
const NODE_FORGOTTEN_AFTER_MS = 3_600_000;

/** The times since which a node must have been seen to be alive are greater than this. */
function aliveAfter({ now, isShared }: NodeDialect): RawBuilder<number> {
  return isShared ? sql<number>`(${now} - ${sql.lit(NODE_DEAD_AFTER_MS)})` : sql<number>`-1`;
}

/** The holder of the row of `uploads` around this query, where it is alive. */
export function selectAliveHolder(db: Kysely<Tables>, dialect: NodeDialect) {
  return db
    .selectFrom('nodes')
    .select('nodes.id')
    .where('nodes.id', '=', sql.ref<string>('uploads.holder'))
    .where('seen_at', '>', aliveAfter(dialect));
}

/** Prepares the queries on nodes, leases and claims. None of them waits for the disk: see `relaxed`. */
export function createLeaseQueries(db: Kysely<Tables>, dialect: NodeDialect): LeaseQueries {
  const { now, isShared } = dialect;
  const aliveSince = aliveAfter(dialect);
  const holderAlive = selectAliveHolder(db, dialect);

  const take = prepare(
    (by: { id: string; epoch: number; node: string }) =>
      db
        .updateTable('uploads')
        .set((eb) => ({
          epoch: eb('epoch', '+', sql.lit(1)),
          holder: by.node,
          phase: sql.lit<Phase>('receiving'),
        }))
        .where('id', '=', by.id)
        .where('epoch', '=', by.epoch)
        .where('state', '=', RECEIVING)
        .where((eb) =>
          eb.or([
            eb('phase', 'is', null),
            eb('phase', '=', sql.lit<Phase>('unrecovered')),
            eb('holder', '=', by.node),
            eb.not(eb.exists(holderAlive)),
          ]),
        ),
    { relaxed: true },
  );

  const setPhase = prepare(
    (by: { id: string; epoch: number; phase: Phase | null }) =>
      db
        .updateTable('uploads')
        .set({ phase: by.phase })
        .where('id', '=', by.id)
        .where('epoch', '=', by.epoch)
        .where('state', '=', RECEIVING),
    { relaxed: true },
  );

  const releaseOfNode = prepare(
    (by: { id: string; node: string }) =>
      db
        .updateTable('uploads')
        .set({ phase: sql.lit<Phase>('unrecovered') })
        .where('id', '=', by.id)
        .where('holder', '=', by.node)
        .where('phase', 'is not', null)
        .where('state', '=', RECEIVING),
    { relaxed: true },
  );

  const raiseLastByte = prepare(
    (by: { id: string; epoch: number; at: number }) =>
      db
        .updateTable('uploads')
        .set({ last_byte_at: by.at })
        .where('id', '=', by.id)
        .where('epoch', '=', by.epoch)
        .where('last_byte_at', '<', by.at),
    { relaxed: true },
  );

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
    async takeLease({ id, epoch }: Pick<UploadRecord, 'id' | 'epoch'>, node: string) {
      return (await take.changes(db, { id, epoch, node })) === 1 ? epoch + 1 : undefined;
    },

    async markPublishing(id, epoch) {
      return (await setPhase.changes(db, { id, epoch, phase: 'publishing' })) === 1;
    },

    async releaseLease(id, epoch, { isRecovered }) {
      await setPhase.changes(db, { id, epoch, phase: isRecovered ? null : 'unrecovered' });
    },

    async releaseStale(id, node) {
      await releaseOfNode.changes(db, { id, node });
    },

    async noteArrival(id, epoch, at) {
      await raiseLastByte.changes(db, { id, epoch, at });
    },

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
      if (isShared) await deleteDead.changes(db, {});
    },

    async claim(name, node, forMs) {
      return (await insertClaim.changes(db, { name, node, forMs })) === 1;
    },

    async unclaim(name, node) {
      await deleteClaim.changes(db, { name, node });
    },
  };
}
