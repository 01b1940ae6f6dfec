/** Provides the content of a publication: an existing one to which the file is added, or a new one. */
import type { Kysely } from 'kysely';
import type { ContentRecord, Publication } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { prepareHoldContent } from './contents.ts';
import type { NodeDialect } from './nodes.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';
import { prepareInsertRemoval, prepareKeepKey } from './removals.ts';

/**
 * The existing content, or the new one, which is recorded. Undefined on a conflict that was found before the first change;
 * `removing` where a node is removing the bytes of the key, so that the changes have to be undone.
 */
type Taken = ContentRecord | 'removing' | undefined;

type NewContent = Omit<ContentRecord, 'id' | 'publishedAt'> & { proof: string | null };

/** Prepares the step of a publication that finds its content, or records it. */
export function prepareTakeContent(db: Kysely<Tables>, dialect: QueryDialect, nodes: NodeDialect) {
  const holdContent = prepareHoldContent(db, dialect);
  const keepKey = prepareKeepKey(db, dialect, nodes);
  const insertRemoval = prepareInsertRemoval(db);

  const insertContent = prepare((content: NewContent) =>
    db
      .insertInto('contents')
      .values({
        md5: content.md5,
        sha1: content.sha1,
        sha256: content.sha256,
        size: content.size,
        variant: content.variant,
        key: content.key,
        published_at: nodes.clock.wall,
        proof: content.proof,
      })
      // Where (md5, variant) or the key is taken, nothing is inserted and no row comes back.
      .onConflict((conflict) => conflict.doNothing())
      .returning(['id', 'published_at as publishedAt']),
  );

  // Updates no row where another content has the key.
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

  async function joinContent(trx: Executor, { id, key }: { id: number; key?: string }): Promise<Taken> {
    const found = await holdContent.first(trx, { id });
    if (!found || key === undefined || key === found.key) return found;
    if ((await moveContent.changes(trx, { id, key })) === 0) return undefined;
    await insertRemoval.changes(trx, { key: found.key, md5: found.md5 });
    return (await keepKey(trx, key)) ? { ...found, key } : 'removing';
  }

  return async function takeContent(trx: Executor, content: Publication['content']): Promise<Taken> {
    if ('id' in content) return joinContent(trx, content);

    const { md5, sha1, sha256, size, variant, key, proof = null } = content;
    const values = { md5, sha1, sha256, size, variant, key };
    const inserted = await insertContent.first(trx, { ...values, proof });
    if (!inserted) return undefined;
    // The key may have been noted for removal; its bytes belong to this content now.
    return (await keepKey(trx, key)) ? { ...inserted, ...values } : 'removing';
  };
}
