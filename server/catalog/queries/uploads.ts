/** Uploads and their parts. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { NOTHING_NOTED } from '../catalog.ts';
import type { Catalog, OffsetCommit, PartRecord, Phase, ReceivingQuery, UploadState } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { type NodeDialect, selectAliveHolder } from './leases.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

export type UploadQueries = Pick<
  Catalog,
  | 'findUpload'
  | 'commitOffset'
  | 'declareLength'
  | 'withdrawLength'
  | 'endUpload'
  | 'listParts'
  | 'findReceiving'
  | 'listExpired'
  | 'listUnpublished'
  | 'listAbandoned'
  | 'listUndiscarded'
  | 'forgetStoreState'
  | 'filterReceiving'
  | 'forgetEnded'
>;

/** An UploadRecord's columns. */
const RECORD = [
  'id',
  'owner',
  'state',
  'size',
  'md5',
  'sha1',
  'sha256',
  'filename',
  'filetype',
  'metadata',
  'offset',
  'snapshot',
  'epoch',
  'holder',
  'phase',
  'boot_id as bootId',
  'store_state as storeState',
  'reason',
  'file_id as fileId',
  'created_at as createdAt',
  'last_byte_at as lastByteAt',
  'expires_at as expiresAt',
] as const;

/** As many ids as `filterReceiving` looks up with one query. */
const IDS_PER_QUERY = 100;

/** Prepares the forgetting of an upload's parts. */
export function prepareDeleteParts(db: Kysely<Tables>) {
  return prepare((by: { id: string }) => db.deleteFrom('parts').where('upload_id', '=', by.id));
}

/** Before every time that is kept. */
const FIRST = Number.MIN_SAFE_INTEGER;

/** Prepares the queries on uploads. */
export function createUploadQueries(db: Kysely<Tables>, dialect: NodeDialect): UploadQueries {
  const selectHolderAlive = selectAliveHolder(db, dialect);
  const selectById = prepare((by: { id: string }) => db.selectFrom('uploads').select(RECORD).where('id', '=', by.id));

  const moveOffset = prepare((commit: Omit<OffsetCommit, 'part'> & { storeState: string | null }) =>
    db
      .updateTable('uploads')
      .set({
        offset: commit.offset,
        snapshot: commit.snapshot,
        boot_id: commit.bootId,
        store_state: commit.storeState,
        last_byte_at: commit.lastByteAt,
        expires_at: commit.expiresAt,
      })
      .where('id', '=', commit.id)
      .where('epoch', '=', commit.epoch)
      .where('state', '=', RECEIVING)
      .where('offset', '<=', commit.offset),
  );

  // A part that is sent again, after its tail was recovered, replaces what was recorded of it.
  const recordPart = prepare((part: PartRecord & { uploadId: string }) =>
    db
      .insertInto('parts')
      .values({
        upload_id: part.uploadId,
        number: part.number,
        start: part.start,
        size: part.size,
        etag: part.etag,
        snapshot: part.snapshot,
      })
      .onConflict((conflict) =>
        conflict.columns(['upload_id', 'number']).doUpdateSet((eb) => ({
          start: eb.ref('excluded.start'),
          size: eb.ref('excluded.size'),
          etag: eb.ref('excluded.etag'),
          snapshot: eb.ref('excluded.snapshot'),
        })),
      ),
  );

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

  const end = prepare(
    (by: { id: string; epoch: number | null; state: UploadState; reason: string | null; at: number }) =>
      db
        .updateTable('uploads')
        .set((eb) => ({
          state: by.state,
          reason: by.reason,
          ended_at: by.at,
          snapshot: null,
          phase: null,
          // What the store did without a commit it has not noted: something may be there.
          store_state: eb.fn.coalesce('store_state', sql.lit(NOTHING_NOTED)),
        }))
        .where('id', '=', by.id)
        .where('epoch', '=', (eb) => eb.fn.coalesce(eb.val(by.epoch), 'epoch'))
        .where('state', '=', RECEIVING),
  );

  const deleteParts = prepareDeleteParts(db);

  const selectParts = prepare((by: { id: string }) =>
    db
      .selectFrom('parts')
      .select(['number', 'start', 'size', 'etag', 'snapshot'])
      .where('upload_id', '=', by.id)
      .orderBy('number'),
  );

  const receiving = db.selectFrom('uploads').select(RECORD).where('state', '=', RECEIVING);

  const byMd5 = (by: ReceivingQuery) =>
    receiving
      .where('md5', '=', by.md5)
      .where((eb) => eb.or([eb('size', 'is', null), eb('size', '=', eb.fn.coalesce(eb.val(by.size), 'size'))]))
      .where((eb) => eb.or([eb(eb.val(by.sha256), 'is', null), eb('sha256', '=', by.sha256)]))
      .where('offset', '>=', by.minOffset)
      .where('expires_at', '>', by.now)
      .orderBy('last_byte_at', 'desc')
      .orderBy('id', 'desc')
      .limit(sql.lit(1));
  const selectByMd5 = prepare(byMd5);
  const selectByMd5OfOwner = prepare((by: ReceivingQuery & { owner: string }) =>
    byMd5(by).where('owner', '=', by.owner),
  );

  const selectExpired = prepare((by: { now: number; limit: number }) =>
    receiving.where('expires_at', '<=', by.now).orderBy('expires_at').orderBy('id').limit(by.limit),
  );

  const selectUnpublished = prepare((by: { createdAt: number; id: string; limit: number }) =>
    receiving
      .whereRef('offset', '=', 'size')
      .where((eb) => eb(eb.refTuple('created_at', 'id'), '>', eb.tuple(by.createdAt, by.id)))
      .orderBy('created_at')
      .orderBy('id')
      .limit(by.limit),
  );

  const selectAbandoned = prepare((by: { expiresAt: number; id: string; limit: number }) =>
    receiving
      .where((eb) => eb(eb.refTuple('expires_at', 'id'), '>', eb.tuple(by.expiresAt, by.id)))
      .where((eb) =>
        eb.or([
          eb('phase', '=', sql.lit<Phase>('unrecovered')),
          eb.and([eb('phase', 'is not', null), eb.not(eb.exists(selectHolderAlive))]),
        ]),
      )
      .orderBy('expires_at')
      .orderBy('id')
      .limit(by.limit),
  );

  const selectUndiscarded = prepare((by: { after: string; limit: number }) =>
    db
      .selectFrom('uploads')
      .select(RECORD)
      .where('store_state', 'is not', null)
      .where('state', '<>', RECEIVING)
      .where('id', '>', by.after)
      .orderBy('id')
      .limit(by.limit),
  );

  const clearStoreState = prepare((by: { id: string }) =>
    db.updateTable('uploads').set({ store_state: null }).where('id', '=', by.id).where('state', '<>', RECEIVING),
  );

  // A row that tells what is left in the store stays until it is gone.
  const deleteEnded = prepare((by: { before: number; limit: number }) =>
    db
      .deleteFrom('uploads')
      .where('id', 'in', (eb) =>
        eb
          .selectFrom('uploads')
          .select('id')
          .where('ended_at', '<', by.before)
          .where('store_state', 'is', null)
          .limit(by.limit),
      ),
  );

  return {
    findUpload(id) {
      return selectById.first(db, { id });
    },

    async commitOffset({ part, storeState = null, ...rest }) {
      const commit = { ...rest, storeState };
      if (!part) return (await moveOffset.changes(db, commit)) === 1;
      return db.transaction().execute(async (trx) => {
        if ((await moveOffset.changes(trx, commit)) === 0) return false;
        await recordPart.changes(trx, { ...part, uploadId: commit.id });
        return true;
      });
    },

    async declareLength(id, epoch, size) {
      return (await setLength.changes(db, { id, epoch, size })) === 1;
    },

    async withdrawLength(id, epoch) {
      return (await unsetLength.changes(db, { id, epoch })) === 1;
    },

    endUpload(id, epoch, state, reason, at) {
      return db.transaction().execute(async (trx) => {
        if ((await end.changes(trx, { id, epoch, state, reason, at })) === 0) return false;
        await deleteParts.changes(trx, { id });
        return true;
      });
    },

    listParts(id) {
      return selectParts.rows(db, { id });
    },

    findReceiving(query) {
      const { owner } = query;
      return owner === null ? selectByMd5.first(db, query) : selectByMd5OfOwner.first(db, { ...query, owner });
    },

    listExpired(now, limit) {
      return selectExpired.rows(db, { now, limit });
    },

    listUnpublished(after, limit) {
      return selectUnpublished.rows(db, { createdAt: after?.createdAt ?? FIRST, id: after?.id ?? '', limit });
    },

    listAbandoned(after, limit) {
      return selectAbandoned.rows(db, { expiresAt: after?.expiresAt ?? FIRST, id: after?.id ?? '', limit });
    },

    listUndiscarded(after, limit) {
      return selectUndiscarded.rows(db, { after, limit });
    },

    async forgetStoreState(id) {
      await clearStoreState.changes(db, { id });
    },

    filterReceiving(ids) {
      return db.transaction().execute(async (trx) => {
        const found = new Set<string>();
        for (let start = 0; start < ids.length; start += IDS_PER_QUERY) {
          const some = ids.slice(start, start + IDS_PER_QUERY);
          const rows = await trx
            .selectFrom('uploads')
            .select('id')
            .where('id', 'in', some)
            .where('state', '=', RECEIVING)
            .execute();
          for (const row of rows) found.add(row.id);
        }
        return found;
      });
    },

    forgetEnded(before, limit) {
      return deleteEnded.changes(db, { before, limit });
    },
  };
}
