/** Leases on uploads: the upload's row says which node holds the lease. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, Phase, UploadRecord } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { createLeftBehind } from './left-behind.ts';
import { type NodeDialect, selectAliveHolder } from './nodes.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type LeaseQueries = Pick<Catalog, 'takeLease' | 'markPublishing' | 'releaseLease'>;

/** Prepares the queries on leases. None of their changes has to be durable: see `RelaxedQuery`. */
export function createLeaseQueries(db: Kysely<Tables>, dialect: NodeDialect): LeaseQueries {
  const holderAlive = selectAliveHolder(db, dialect);
  const leftBehind = createLeftBehind(db, dialect);

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

  return {
    async takeLease({ id, epoch }: Pick<UploadRecord, 'id' | 'epoch'>, node: string) {
      return (await take.changes(db, { id, epoch, node })) === 1 ? epoch + 1 : undefined;
    },

    async markPublishing(id, epoch) {
      return (await setPhase.changes(db, { id, epoch, phase: 'publishing' })) === 1;
    },

    async releaseLease(id, epoch, { isRecovered }) {
      await setPhase.changes(db, { id, epoch, phase: isRecovered ? null : 'unrecovered' });
      // A node that dies between the two is noticed as dead.
      if (!isRecovered) await leftBehind.note(db);
    },
  };
}
