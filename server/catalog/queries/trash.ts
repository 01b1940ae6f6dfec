/** The trash: listed, and left for good. restore-trashed.ts restores, remove-file.ts brings files into it. */
import { type Kysely, sql } from 'kysely';
import { decodeFields, encodeFields, invalidCursor } from '../cursor.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { DeletedForGood, TrashMethods, TrashPage, TrashQuery, TrashSelection } from '../trash.ts';
import type { SqlClock } from './clock.ts';
import { type Executor, prepare } from './prepare.ts';
import {
  createHoldTrash,
  MOST_TRASHED,
  prepareDeleteUnused,
  prepareLeaveTrash,
  selectTrash,
  toTrashedFile,
  type TrashRow,
  untilTaken,
} from './trash-rows.ts';

/** What the cursors of the listing begin with. */
const KIND = ['trash'];

/** Prepares the queries on the trash but `restoreTrashed`. */
export function createTrashQueries(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Omit<TrashMethods, 'restoreTrashed'> {
  return { ...createListTrash(db), ...createTrashFacts(db), ...createDeleteForGood(db, dialect, clock) };
}

function createListTrash(db: Kysely<Tables>): Pick<TrashMethods, 'listTrash'> {
  const latestFirst = selectTrash(db).orderBy('trash.deleted_at', 'desc').orderBy('trash.id', 'desc');
  const selectFirst = prepare((by: { owner: string; limit: number }) =>
    latestFirst.where('trash.owner', '=', by.owner).limit(by.limit),
  );
  const selectAfter = prepare((by: { owner: string; deletedAt: number; id: string; limit: number }) =>
    latestFirst
      .where('trash.owner', '=', by.owner)
      .where((eb) => eb(eb.refTuple('trash.deleted_at', 'trash.id'), '<', eb.tuple(by.deletedAt, by.id)))
      .limit(by.limit),
  );

  return {
    async listTrash({ owner, limit, cursor }: TrashQuery): Promise<TrashPage> {
      // One more row than requested: where it exists, another page follows.
      const rows =
        cursor === undefined
          ? await selectFirst.rows(db, { owner, limit: limit + 1 })
          : await selectAfter.rows(db, { owner, ...readPlace(cursor), limit: limit + 1 });
      const files = rows.slice(0, limit).map(toTrashedFile);
      const last = files.at(-1);
      const isMore = last !== undefined && rows.length > limit;
      return { files, nextCursor: isMore ? encodeFields(KIND, [last.deletedAt, last.id]) : null };
    },
  };
}

function readPlace(cursor: string): { deletedAt: number; id: string } {
  const [deletedAt, id, ...more] = decodeFields(KIND, cursor);
  if (!Number.isSafeInteger(deletedAt) || typeof id !== 'string' || more.length > 0)
    throw invalidCursor('it is not one of this service');
  return { deletedAt: deletedAt as number, id };
}

function createTrashFacts(db: Kysely<Tables>): Pick<TrashMethods, 'trashTotalOf' | 'ownsOrTrashed' | 'hasFiles'> {
  const selectTotal = prepare((by: { owner: string }) =>
    db.selectFrom('trash_totals').select(['files', 'bytes']).where('owner', '=', by.owner),
  );
  // One statement, whatever it finds: how long it takes tells nothing.
  const selectOwned = prepare((by: { owner: string; contentId: number }) =>
    db
      .selectFrom('files')
      .select('id')
      .where('content_id', '=', by.contentId)
      .where('owner', '=', by.owner)
      .unionAll(
        db.selectFrom('trash').select('id').where('content_id', '=', by.contentId).where('owner', '=', by.owner),
      )
      .limit(sql.lit(1)),
  );
  const selectAny = prepare((by: { contentId: number }) =>
    db.selectFrom('files').select('id').where('content_id', '=', by.contentId).limit(sql.lit(1)),
  );

  return {
    trashTotalOf: async (owner) => (await selectTotal.first(db, { owner })) ?? { files: 0, bytes: 0 },
    ownsOrTrashed: async (owner, contentId) => (await selectOwned.first(db, { owner, contentId })) !== undefined,
    hasFiles: async (contentId) => (await selectAny.first(db, { contentId })) !== undefined,
  };
}

/** Prepares the search for some files that are meant; they are not locked. */
export function prepareSelectTrashed(db: Kysely<Tables>) {
  const ofDeletion = prepare((by: { owner: string; deletion: string }) =>
    db
      .selectFrom('trash')
      .select('id')
      .where('owner', '=', by.owner)
      .where('deletion', '=', by.deletion)
      .limit(sql.lit(MOST_TRASHED)),
  );
  const upTo = prepare((by: { owner: string; until: number }) =>
    db
      .selectFrom('trash')
      .select('id')
      .where('owner', '=', by.owner)
      .where('deleted_at', '<=', by.until)
      .limit(sql.lit(MOST_TRASHED)),
  );

  return async function selectTrashed(trx: Executor, owner: string, which: TrashSelection): Promise<string[]> {
    if ('ids' in which) return which.ids.slice(0, MOST_TRASHED);
    const rows =
      'deletion' in which
        ? await ofDeletion.rows(trx, { owner, deletion: which.deletion })
        : await upTo.rows(trx, { owner, until: which.until });
    return rows.map(({ id }) => id);
  };
}

function createDeleteForGood(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<TrashMethods, 'deleteTrashed' | 'purgeTrash'> {
  const selectTrashed = prepareSelectTrashed(db);
  const holdTrash = createHoldTrash(db, dialect);
  const leave = prepareLeaveTrash(db);
  const deleteContentIfUnused = prepareDeleteUnused(db);
  const selectOld = prepare((by: { forMs: number }) =>
    db
      .selectFrom('trash')
      .select('id')
      .where('deleted_at', '<=', sql<number>`${clock.earliest} - ${by.forMs}`)
      .orderBy('deleted_at')
      .orderBy('id')
      .limit(sql.lit(MOST_TRASHED)),
  );

  async function deleteForGood(trx: Executor, rows: readonly TrashRow[]): Promise<DeletedForGood> {
    const deleted: DeletedForGood = { files: 0, bytes: 0, removed: [] };
    for (const { id, size, contentId } of rows) {
      await leave.changes(trx, { id });
      const removed = await deleteContentIfUnused(trx, contentId);
      deleted.files += 1;
      deleted.bytes += size;
      if (removed) deleted.removed.push(removed);
    }
    return deleted;
  }

  return {
    deleteTrashed: (owner, which) =>
      untilTaken(db, which, async (trx) => {
        const chosen = await selectTrashed(trx, owner, which);
        const rows = await holdTrash(trx, chosen);
        // Not a condition of the query: with ids of others, it would be another plan.
        const own = rows.filter((row) => row.owner === owner);
        return { chosen: chosen.length, taken: rows.length, result: await deleteForGood(trx, own) };
      }),

    purgeTrash(forMs) {
      return db.transaction().execute(async (trx) => {
        const old = await selectOld.rows(trx, { forMs });
        return deleteForGood(
          trx,
          await holdTrash(
            trx,
            old.map(({ id }) => id),
          ),
        );
      });
    },
  };
}
