/** Lookups of uploads: by id, or by the content that a client wants to send. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, ReceivingQuery, UploadKind } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { uploadRecord } from './upload-rows.ts';

/** How many ids one query looks up. */
const IDS_PER_QUERY = 100;

/**
 * An upload whose last byte was noted this long after its creation has received bytes, even where none are committed yet. In
 * a new row both times are nearly the same.
 */
const NOTED_LATER_MS = 1_000;

/** Prepares the lookups of uploads. */
export function createFindUploads(
  db: Kysely<Tables>,
  clock: SqlClock,
): Pick<Catalog, 'findUpload' | 'findUploads' | 'findReceiving' | 'filterReceiving'> {
  const record = uploadRecord(clock);
  const selectById = prepare((by: { id: string }) => db.selectFrom('uploads').select(record).where('id', '=', by.id));

  const selectByMd5 = prepare((by: ReceivingQuery) =>
    db
      .selectFrom('uploads')
      .select(record)
      .where('state', '=', RECEIVING)
      .where('md5', '=', by.md5)
      .where('owner', '=', by.owner)
      // Those by links are their senders'.
      .where('link_id', 'is', null)
      .where('kind', '=', sql.lit<UploadKind>('file'))
      .where((eb) => eb.or([eb('size', 'is', null), eb('size', '=', eb.fn.coalesce(eb.val(by.size), 'size'))]))
      .where((eb) => eb.or([eb(eb.cast(eb.val(by.sha256), 'text'), 'is', null), eb('sha256', '=', by.sha256)]))
      .where((eb) =>
        eb.or([
          eb('offset', '>=', by.minOffset),
          eb('last_byte_at', '>', sql<number>`created_at + ${sql.lit(NOTED_LATER_MS)}`),
        ]),
      )
      .where('expires_at', '>', clock.earliest)
      .orderBy('last_byte_at', 'desc')
      .orderBy('id', 'desc')
      .limit(sql.lit(1)),
  );

  return {
    findUpload(id) {
      return selectById.first(db, { id });
    },

    async findUploads(ids) {
      const found = [];
      for (let start = 0; start < ids.length; start += IDS_PER_QUERY) {
        const some = ids.slice(start, start + IDS_PER_QUERY);
        // Prepared for each number of ids anew: it is rare.
        const selectSome = prepare(() => db.selectFrom('uploads').select(record).where('id', 'in', some));
        found.push(...(await selectSome.rows(db, {})));
      }
      return found;
    },

    findReceiving(query) {
      return selectByMd5.first(db, query);
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
  };
}
