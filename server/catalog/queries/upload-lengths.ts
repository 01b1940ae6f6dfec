/** The length of an upload: declared, withdrawn, or only expected. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { type Prepared, prepare } from './prepare.ts';
import { createWithinQuota } from './sent-uploads.ts';
import { RECEIVING } from './states.ts';

/** Prepares the changes of lengths. */
export function createUploadLengths(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'declareLength' | 'withdrawLength' | 'expectLength'> {
  type Declared = { id: string; epoch: number; size: number };
  type Expected = { id: string; epoch: number; size: number | null };
  const receiving = db.updateTable('uploads').where('state', '=', RECEIVING);
  const declaring = (by: Declared) =>
    receiving
      .set({ size: by.size })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('size', 'is', null)
      .where('offset', '<=', by.size);
  const expecting = (by: Expected) =>
    receiving
      .set({ expected_size: by.size, size: null })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where((eb) => eb.or([eb('size', 'is', null), eb('offset', '<', eb.ref('size'))]))
      .where('offset', '<=', (eb) => eb.fn.coalesce(eb.val(by.size), 'offset'));
  const withdraw = prepare((by: { id: string; epoch: number }) =>
    receiving.set({ size: null }).where('id', '=', by.id).where('epoch', '=', by.epoch),
  );

  // Of the owner's own uploads in one statement; of one by a link in a transaction, within the limits of that.
  const [declareOwn, declareSent] = [
    prepare((by: Declared) => declaring(by).where('link_id', 'is', null)),
    prepare(declaring),
  ];
  const [expectOwn, expectSent] = [
    prepare((by: Expected) => expecting(by).where('link_id', 'is', null)),
    prepare(expecting),
  ];
  // Its lease keeps others from changing the length: what is read here still counts when it is changed.
  const selectSent = prepare((by: { id: string; epoch: number }) =>
    db
      .selectFrom('uploads')
      .select(['link_id as linkId', (eb) => eb.fn.coalesce('size', 'expected_size').as('counted')])
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('link_id', 'is not', null),
  );
  const quota = createWithinQuota(db, dialect, clock);

  async function change<Values extends Expected>(
    own: Prepared<Values, unknown>,
    sent: Prepared<Values, unknown>,
    values: Values,
  ): Promise<boolean | 'quota'> {
    if ((await own.changes(db, values)) === 1) return true;
    const upload = await selectSent.first(db, values);
    if (typeof upload?.linkId !== 'string') return false;
    const { linkId, counted } = upload;
    // A length that was taken stays so, also where the owner has lowered the limit, or others have sent more than it.
    const takesMore = values.size !== null && (counted === null || values.size > counted);
    if (!takesMore) return (await sent.changes(db, values)) === 1;
    const changes = await quota.change(linkId, (trx) => sent.changes(trx, values));
    return changes === 'quota' ? changes : changes === 1;
  }

  return {
    declareLength: (id, epoch, size) => change(declareOwn, declareSent, { id, epoch, size }),

    async withdrawLength(id, epoch) {
      return (await withdraw.changes(db, { id, epoch })) === 1;
    },

    expectLength: (id, epoch, size) => change(expectOwn, expectSent, { id, epoch, size }),
  };
}
