/** Publication: the one transaction that turns a complete upload into content plus a file. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Catalog, ContentRecord, Publication, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepareDeleteRemoval, prepareInsertRemoval, prepareSelectContent } from './contents.ts';
import { prepareInsertEvent } from './events.ts';
import { prepareInsertFile, prepareSelectSame, toFileRecord } from './file-rows.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { prepareDeleteParts } from './uploads.ts';

/** Prepares `publish`. */
export function createPublish(db: Kysely<Tables>): Pick<Catalog, 'publish'> {
  const selectContent = prepareSelectContent(db);
  const deleteRemoval = prepareDeleteRemoval(db);
  const insertRemoval = prepareInsertRemoval(db);
  const insertFile = prepareInsertFile(db);
  const selectSame = prepareSelectSame(db);
  const insertEvent = prepareInsertEvent(db);
  const deleteParts = prepareDeleteParts(db);

  const selectUpload = prepare((by: { id: string; epoch: number }) =>
    db
      .selectFrom('uploads')
      .select('size')
      .where('id', '=', by.id)
      .where('epoch', '=', by.epoch)
      .where('state', '=', RECEIVING),
  );

  const insertContent = prepare((content: Omit<ContentRecord, 'id'>) =>
    db
      .insertInto('contents')
      .values({
        md5: content.md5,
        sha1: content.sha1,
        sha256: content.sha256,
        size: content.size,
        variant: content.variant,
        key: content.key,
        published_at: content.publishedAt,
      })
      // Whichever is taken, (md5, variant) or key: nothing is inserted and no row comes back.
      .onConflict((conflict) => conflict.doNothing())
      .returning('id'),
  );

  // A key that another content has is left to it: no row is changed.
  const moveContent = prepare((by: { id: number; key: string }) =>
    db
      .updateTable('contents')
      .set({ key: by.key })
      .where('id', '=', by.id)
      .where((eb) =>
        eb.not(
          eb.exists(eb.selectFrom('contents as other').select('other.id').where('other.key', '=', eb.val(by.key))),
        ),
      ),
  );

  const completeUpload = prepare((by: { id: string; size: number; fileId: string }) =>
    db
      .updateTable('uploads')
      .set({
        state: sql.lit<UploadState>('complete'),
        offset: by.size,
        size: by.size,
        file_id: by.fileId,
        snapshot: null,
        phase: null,
      })
      .where('id', '=', by.id),
  );

  async function joinContent(
    trx: Executor,
    { id, key }: { id: number; key?: string },
  ): Promise<ContentRecord | undefined> {
    const found = await selectContent.first(trx, { id });
    if (!found || key === undefined || key === found.key) return found;
    if ((await moveContent.changes(trx, { id, key })) === 0) return undefined;
    await insertRemoval.changes(trx, { key: found.key, md5: found.md5 });
    await deleteRemoval.changes(trx, { key });
    return { ...found, key };
  }

  /** The content to join, or the new one once it is recorded; undefined on a conflict. */
  async function claimContent(trx: Executor, publication: Publication): Promise<ContentRecord | undefined> {
    const { content, file } = publication;
    if ('id' in content) return joinContent(trx, content);

    const { md5, sha1, sha256, size, variant, key } = content;
    const values = { md5, sha1, sha256, size, variant, key, publishedAt: file.uploadedAt };
    const inserted = await insertContent.first(trx, values);
    if (!inserted) return undefined;
    // The key may have been waiting for removal; its bytes are this content's now.
    await deleteRemoval.changes(trx, { key });
    return { id: inserted.id, ...values };
  }

  return {
    publish(publication) {
      const { uploadId, epoch, file, reuseFile, at } = publication;
      return db.transaction().execute(async (trx) => {
        // Both refusals come before anything was changed.
        const upload = await selectUpload.first(trx, { id: uploadId, epoch });
        if (!upload) return { kind: 'lost' };
        const content = await claimContent(trx, publication);
        if (!content) return { kind: 'conflict' };

        if (upload.size !== null && upload.size !== content.size) {
          throw new CatalogError(
            'failed',
            `upload ${uploadId} of ${upload.size} bytes cannot become content of ${content.size} bytes`,
          );
        }
        const same = reuseFile && (await selectSame.first(trx, { ...file, contentId: content.id }));
        const record = same ? toFileRecord(same) : await insertFile(trx, file, content);
        if (!same) await insertEvent(trx, 'published', record, at);
        await completeUpload.changes(trx, { id: uploadId, size: content.size, fileId: record.id });
        await deleteParts.changes(trx, { id: uploadId });
        return { kind: 'published', file: record };
      });
    },
  };
}
