/** Facts about the catalog itself: its id, secret and clock, its place, and whether it has anything. */
import type { Kysely } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Catalog, MetaKey } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type MetaQueries = Pick<Catalog, 'id' | 'eventSecret' | 'proofSecret' | 'getMeta' | 'setMeta' | 'extent'>;

/** Prepares the queries on the catalog itself. */
export function createMetaQueries(db: Kysely<Tables>): MetaQueries {
  const select = prepare((by: { key: string }) => db.selectFrom('meta').select('value').where('key', '=', by.key));

  const upsert = prepare((row: { key: string; value: string }) =>
    db
      .insertInto('meta')
      .values({ key: row.key, value: row.value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet((eb) => ({ value: eb.ref('excluded.value') }))),
  );

  const insertNew = prepare((row: { key: string; value: string }) =>
    db
      .insertInto('meta')
      .values({ key: row.key, value: row.value })
      .onConflict((conflict) => conflict.doNothing()),
  );

  async function get(key: string): Promise<string | undefined> {
    return (await select.first(db, { key }))?.value;
  }

  /** A value that is there once it was created. */
  async function made(key: 'id' | 'event_secret' | 'proof_secret'): Promise<string> {
    const value = await get(key);
    if (value === undefined) throw new CatalogError('failed', `the catalog has no ${key}`);
    return value;
  }

  return {
    id: () => made('id'),
    eventSecret: () => made('event_secret'),

    async proofSecret(fresh) {
      const key = 'proof_secret';
      if ((await get(key)) === undefined) await insertNew.changes(db, { key, value: fresh });
      return made(key);
    },

    getMeta: (key: MetaKey) => get(key),

    async setMeta(key, value) {
      await upsert.changes(db, { key, value });
    },

    async extent() {
      const content = db.selectFrom('contents').select('id').limit(1);
      if ((await content.execute()).length > 0) return 'bytes';
      const uploads = db.selectFrom('uploads').select('id').limit(1);
      const begun = uploads.where('state', '=', RECEIVING).where('offset', '>', 0);
      if ((await begun.execute()).length > 0) return 'bytes';
      return (await uploads.execute()).length > 0 ? 'uploads' : 'nothing';
    },
  };
}
