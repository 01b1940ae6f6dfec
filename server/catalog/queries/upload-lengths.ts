/** The length of an upload: declared, withdrawn, or only expected. */
import type { Kysely } from 'kysely';
import type { Catalog } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

/** Prepares the changes of lengths. */
export function createUploadLengths(
  db: Kysely<Tables>,
): Pick<Catalog, 'declareLength' | 'withdrawLength' | 'expectLength'> {
  const setLength = prepare((by: { id: string; epoch: number; size: number }) =>
    db
      .updateTable('uploads')
      .set({ size: by.size })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING)
      .where('size', 'is', null)
      .where('offset', '<=', by.size),
  );

  const unsetLength = prepare((by: { id: string; epoch: number }) =>
    db
      .updateTable('uploads')
      .set({ size: null })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING),
  );

  const expect = prepare((by: { id: string; epoch: number; size: number | null }) =>
    db
      .updateTable('uploads')
      .set({ expected_size: by.size, size: null })
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING)
      .where((eb) => eb.or([eb('size', 'is', null), eb('offset', '<', eb.ref('size'))]))
      .where('offset', '<=', (eb) => eb.fn.coalesce(eb.val(by.size), 'offset')),
  );

  return {
    async declareLength(id, epoch, size) {
      return (await setLength.changes(db, { id, epoch, size })) === 1;
    },

    async withdrawLength(id, epoch) {
      return (await unsetLength.changes(db, { id, epoch })) === 1;
    },

    async expectLength(id, epoch, size) {
      return (await expect.changes(db, { id, epoch, size })) === 1;
    },
  };
}
