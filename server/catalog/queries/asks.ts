/** Asks: requests between nodes in the catalog, for when notices do not arrive. */
import type { Kysely } from 'kysely';
import type { Ask, Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { aliveAfter, type NodeDialect } from './nodes.ts';
import { prepare } from './prepare.ts';

/** Prepares the queries on asks. None of their changes has to be durable: see `RelaxedQuery`. */
export function createAskQueries(db: Kysely<Tables>, dialect: NodeDialect): Pick<Catalog, 'ask' | 'takeAsks'> {
  const aliveSince = aliveAfter(dialect);

  const insertAsk = prepare(
    (by: Ask & { node: string }) =>
      db
        .insertInto('asks')
        .columns(['node', 'upload_id', 'what', 'epoch'])
        .expression((eb) =>
          eb
            .selectFrom('nodes')
            .select([
              'id',
              eb.val(by.uploadId).as('upload_id'),
              eb.val(by.what).as('what'),
              eb.val(by.epoch).as('epoch'),
            ])
            .where('id', '=', by.node)
            .where('seen_at', '>', aliveSince),
        )
        .onConflict((conflict) =>
          conflict.columns(['node', 'upload_id', 'what']).doUpdateSet((eb) => ({ epoch: eb.ref('excluded.epoch') })),
        ),
    { relaxed: true },
  );

  const deleteAsks = prepare(
    (by: { node: string }) =>
      db
        .deleteFrom('asks')
        .where('node', '=', by.node)
        .returning((eb) => [
          'upload_id as uploadId',
          'what',
          'epoch',
          eb.selectFrom('uploads').select('uploads.epoch').whereRef('uploads.id', '=', 'asks.upload_id').as('newest'),
        ]),
    { relaxed: true },
  );

  return {
    async ask(node, given) {
      await insertAsk.changes(db, { ...given, node });
    },

    async takeAsks(node) {
      const rows = await deleteAsks.rows(db, { node });
      return rows.flatMap(({ newest, ...ask }) => (newest === ask.epoch ? [ask] : []));
    },
  };
}
