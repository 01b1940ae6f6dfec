/** The content of a publication: an existing one that the file joins, or a new one. */
import type { Kysely } from 'kysely';
import type { ContentRecord, Publication } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepareHoldContent } from './contents.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';
import { prepareDeleteRemoval, prepareInsertRemoval } from './removals.ts';

/** Prepares the step of a publication that finds its content, or records it. */
export function prepareTakeContent(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock) {
  const holdContent = prepareHoldContent(db, dialect);
  const deleteRemoval = prepareDeleteRemoval(db);
  const insertRemoval = prepareInsertRemoval(db);

  const insertContent = prepare((content: Omit<ContentRecord, 'id' | 'publishedAt'>) =>
    db
      .insertInto('contents')
      .values({
        md5: content.md5,
        sha1: content.sha1,
        sha256: content.sha256,
        size: content.size,
        variant: content.variant,
        key: content.key,
        published_at: clock.wall,
      })
      // Where (md5, variant) or the key is taken, nothing is inserted and no row comes back.
      .onConflict((conflict) => conflict.doNothing())
      .returning(['id', 'published_at as publishedAt']),
  );

  // Changes no row where another content has the key.
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

  async function joinContent(
    trx: Executor,
    { id, key }: { id: number; key?: string },
  ): Promise<ContentRecord | undefined> {
    const found = await holdContent.first(trx, { id });
    if (!found || key === undefined || key === found.key) return found;
    if ((await moveContent.changes(trx, { id, key })) === 0) return undefined;
    await insertRemoval.changes(trx, { key: found.key, md5: found.md5 });
    await deleteRemoval.changes(trx, { key });
    return { ...found, key };
  }

  /** The content to join, or the new one once it is recorded; undefined on a conflict. */
  return async function takeContent(trx: Executor, publication: Publication): Promise<ContentRecord | undefined> {
    const { content } = publication;
    if ('id' in content) return joinContent(trx, content);

    const { md5, sha1, sha256, size, variant, key } = content;
    const values = { md5, sha1, sha256, size, variant, key };
    const inserted = await insertContent.first(trx, values);
    if (!inserted) return undefined;
    // The key may have been waiting for removal; its bytes are this content's now.
    await deleteRemoval.changes(trx, { key });
    return { ...inserted, ...values };
  };
}
