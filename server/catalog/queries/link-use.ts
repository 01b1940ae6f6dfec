/** What is done with links: downloads and attempts with a password are counted, and old links forgotten. */
import { type Kysely, sql } from 'kysely';
import type { Catalog, LinkKind } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';

export type LinkUse = Pick<
  Catalog,
  'countDownload' | 'giveBackDownload' | 'countAttempt' | 'forgiveAttempts' | 'forgetLinks'
>;

/** Prepares the counting. Each is one statement, which finds the newest row, whoever has just changed it. */
export function createLinkUse(db: Kysely<Tables>, clock: SqlClock): LinkUse {
  const countDownload = prepare((by: { id: string }) =>
    db
      .updateTable('links')
      .set((eb) => ({ downloads: eb('downloads', '+', sql.lit(1)), last_used_at: clock.wall }))
      .where('id', '=', by.id)
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', clock.earliest)]))
      .where((eb) => eb.or([eb('most_downloads', 'is', null), eb('downloads', '<', eb.ref('most_downloads'))])),
  );
  const giveBack = prepare((by: { id: string }) =>
    db
      .updateTable('links')
      .set((eb) => ({ downloads: eb('downloads', '-', sql.lit(1)) }))
      .where('id', '=', by.id)
      .where('downloads', '>', sql.lit(0)),
  );
  // No answer waits for these: a power cut gives back some attempts, and nobody can cause many.
  const countAttempt = prepare(
    (by: { id: string; most: number; waitMs: number }) => {
      const isLast = sql`wrong_passwords + 1 >= ${by.most}`;
      return db
        .updateTable('links')
        .set({
          wrong_passwords: sql<number>`case when ${isLast} then 0 else wrong_passwords + 1 end`,
          waits_until: sql<number | null>`case when ${isLast} then ${clock.latest} + ${by.waitMs} end`,
        })
        .where('id', '=', by.id)
        .where((eb) => eb.or([eb('waits_until', 'is', null), eb('waits_until', '<=', clock.earliest)]));
    },
    { relaxed: true },
  );
  const forgive = prepare(
    (by: { id: string }) =>
      db
        .updateTable('links')
        .set({ wrong_passwords: sql.lit(0), waits_until: null })
        .where('id', '=', by.id),
    { relaxed: true },
  );
  const forget = createForgetLinks(db, clock);

  return {
    async countDownload(id) {
      return (await countDownload.changes(db, { id })) === 1;
    },
    async giveBackDownload(id) {
      await giveBack.changes(db, { id });
    },
    async countAttempt(id, most, waitMs) {
      return (await countAttempt.changes(db, { id, most, waitMs })) === 1;
    },
    async forgiveAttempts(id) {
      await forgive.changes(db, { id });
    },
    forgetLinks: forget,
  };
}

/** Prepares `forgetLinks`. */
function createForgetLinks(db: Kysely<Tables>, clock: SqlClock): Catalog['forgetLinks'] {
  const selectIds = prepare((by: { after: string; limit: number }) =>
    db.selectFrom('links').select('id').where('id', '>', by.after).orderBy('id').limit(by.limit),
  );
  const hasFiles = db
    .selectFrom('link_files')
    .select('link_files.position')
    .whereRef('link_files.link_id', '=', sql.ref('links.id'));
  const hasFolders = db
    .selectFrom('link_folders')
    .select('link_folders.position')
    .whereRef('link_folders.link_id', '=', sql.ref('links.id'));

  interface Range {
    after: string;
    last: string;
  }
  const noteEmpty = prepare((by: Range) =>
    db
      .updateTable('links')
      .set({ empty_since: clock.steady })
      .where('id', '>', by.after)
      .where('id', '<=', by.last)
      .where('empty_since', 'is', null)
      .where('kind', '=', sql.lit<LinkKind>('download'))
      .where((eb) => eb.not(eb.exists(hasFiles)))
      .where((eb) => eb.not(eb.exists(hasFolders))),
  );
  // A node of the version before knows neither folders nor upload links, and takes a link that has no files for empty.
  const noteFilled = prepare((by: Range) =>
    db
      .updateTable('links')
      .set({ empty_since: null })
      .where('id', '>', by.after)
      .where('id', '<=', by.last)
      .where('empty_since', 'is not', null)
      .where((eb) => eb.or([eb('kind', '=', sql.lit<LinkKind>('upload')), eb.exists(hasFiles), eb.exists(hasFolders)])),
  );
  const deleteEnded = prepare((by: Range & { forMs: number }) => {
    const before = sql<number>`${clock.earliest} - ${by.forMs}`;
    return db
      .deleteFrom('links')
      .where('id', '>', by.after)
      .where('id', '<=', by.last)
      .where((eb) =>
        eb.or([
          eb('revoked_at', '<', before),
          eb('expires_at', '<', before),
          eb('empty_since', '<', before),
          eb.and([eb('downloads', '>=', eb.ref('most_downloads')), eb('last_used_at', '<', before)]),
        ]),
      );
  });

  return (after, forMs, limit) =>
    db.transaction().execute(async (trx) => {
      const last = (await selectIds.rows(trx, { after, limit })).at(-1)?.id;
      if (last === undefined) return null;
      await noteEmpty.changes(trx, { after, last });
      await noteFilled.changes(trx, { after, last });
      await deleteEnded.changes(trx, { after, last, forMs });
      return last;
    });
}
