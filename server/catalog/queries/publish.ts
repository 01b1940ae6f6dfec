/** Publication: the one transaction that turns a complete upload into content plus a file. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Catalog, PublishOutcome, UploadState } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { prepareDeleteParts } from './ledger.ts';
import type { NodeDialect } from './nodes.ts';
import { preparePlaceFile } from './place-file.ts';
import { type Executor, prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { prepareTakeContent } from './take-content.ts';

/** A conflict that is found after the first change: the transaction is undone. */
class UndoneConflict extends Error {}

/** Prepares `publish`. */
export function createPublish(db: Kysely<Tables>, dialect: QueryDialect, nodes: NodeDialect): Pick<Catalog, 'publish'> {
  const takeContent = prepareTakeContent(db, dialect, nodes);
  const { foresee, place } = preparePlaceFile(db, dialect, nodes.clock);
  const deleteParts = prepareDeleteParts(db);

  const selectUpload = prepare((by: { id: string; epoch: number }) =>
    dialect.locked(
      db
        .selectFrom('uploads')
        .select('size')
        .where('id', '=', by.id)
        .where('epoch', '=', by.epoch)
        .where('state', '=', RECEIVING),
    ),
  );

  const completeUpload = prepare((by: { id: string; size: number; fileId: string; keepsState: number }) =>
    db
      .updateTable('uploads')
      .set((eb) => ({
        state: sql.lit<UploadState>('complete'),
        offset: by.size,
        size: by.size,
        file_id: by.fileId,
        snapshot: null,
        phase: null,
        store_state: eb.case().when(eb.val(by.keepsState), '=', 1).then(eb.ref('store_state')).end(),
      }))
      .where('id', '=', by.id),
  );

  return {
    publish(publication) {
      const { uploadId, epoch, file, forgetsStoreState } = publication;
      const keepsState = forgetsStoreState ? 0 : 1;
      return undoing(db, async (trx) => {
        // Both are found before the first change; a key that a node is removing is found after it.
        const upload = await selectUpload.first(trx, { id: uploadId, epoch });
        if (!upload) return { kind: 'lost' };
        await foresee(trx, file, 'id' in publication.content ? publication.content.id : undefined);
        const content = await takeContent(trx, publication.content);
        if (content === undefined) return { kind: 'conflict' };
        if (content === 'removing') throw new UndoneConflict();

        if (upload.size !== null && upload.size !== content.size) {
          throw new CatalogError(
            'failed',
            `upload ${uploadId} of ${upload.size} bytes cannot become content of ${content.size} bytes`,
          );
        }
        const placed = await place(trx, file, content);
        await completeUpload.changes(trx, { id: uploadId, size: content.size, fileId: placed.file.id, keepsState });
        await deleteParts.changes(trx, { id: uploadId });
        return { kind: 'published', ...placed };
      });
    },
  };
}

async function undoing(db: Kysely<Tables>, run: (trx: Executor) => Promise<PublishOutcome>): Promise<PublishOutcome> {
  try {
    return await db.transaction().execute(run);
  } catch (error) {
    if (error instanceof UndoneConflict) return { kind: 'conflict' };
    throw error;
  }
}
