/** Uploads by links: begun and given a length within the link's limits, and listed. Triggers count in the link's row. */
import { type Kysely, sql } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { MOST_OPEN_OF_LINK, MOST_SENT_BYTES, type Sent, type SentUpload, type SentUploads } from '../sent-uploads.ts';
import type { SqlClock } from './clock.ts';
import { type Executor, prepare, type Prepared } from './prepare.ts';
import { RECEIVING } from './states.ts';

/** Ends a transaction, so that nothing of it stays. */
class OverQuota extends Error {}

export interface WithinQuota {
  /** Runs a change that makes an upload of a link take more. Undoes it where the link has taken more than it may by then. */
  change<T>(linkId: string, run: (trx: Executor) => Promise<T>): Promise<T | 'quota'>;
  /** As `change`, for a new upload of an owner: the link must take any, too. It is used by this. */
  begin<T>(linkId: string, owner: string, run: (trx: Executor) => Promise<T>): Promise<T | 'quota'>;
}

/** Prepares the transactions. */
export function createWithinQuota(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock): WithinQuota {
  // Read after the change, whose trigger has locked the row: it is the newest, and stays so until the commit.
  const selectRoom = prepare((by: { linkId: string }) =>
    db
      .selectFrom('links')
      .select('id')
      .where('id', '=', by.linkId)
      .where('sent_bytes', '<=', sql.lit(MOST_SENT_BYTES))
      .where((eb) => eb.or([eb('most_bytes', 'is', null), eb('sent_bytes', '<=', eb.ref('most_bytes'))])),
  );
  const useOpen = prepare((by: { linkId: string }) =>
    db
      .updateTable('links')
      .set({ last_used_at: clock.wall })
      .where('id', '=', by.linkId)
      .where('kind', '=', sql.lit('upload'))
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', clock.earliest)]))
      .where((eb) => eb.or([eb('most_files', 'is', null), eb('sent_files', '<=', eb.ref('most_files'))])),
  );
  const selectOneTooMany = prepare((by: { linkId: string }) =>
    db
      .selectFrom('uploads')
      .select('id')
      .where('link_id', '=', by.linkId)
      .where('state', '=', RECEIVING)
      .limit(sql.lit(1))
      .offset(sql.lit(MOST_OPEN_OF_LINK)),
  );

  async function requireRoom(trx: Executor, linkId: string): Promise<void> {
    if (!(await selectRoom.first(trx, { linkId }))) throw new OverQuota();
  }

  async function within<T>(run: (trx: Executor) => Promise<T>): Promise<T | 'quota'> {
    try {
      return await db.transaction().execute(run);
    } catch (error) {
      if (error instanceof OverQuota) return 'quota';
      throw error;
    }
  }

  return {
    change: (linkId, run) =>
      within(async (trx) => {
        const result = await run(trx);
        await requireRoom(trx, linkId);
        return result;
      }),

    begin: (linkId, owner, run) =>
      within(async (trx) => {
        // The name by which begin_upload of PostgreSQL counts, too: uploads of the owner's begin one after the other.
        await dialect.hold(trx, `open uploads of ${owner}`, 'alone');
        const result = await run(trx);
        if ((await useOpen.changes(trx, { linkId })) !== 1) throw new OverQuota();
        await requireRoom(trx, linkId);
        if (await selectOneTooMany.first(trx, { linkId })) throw new OverQuota();
        return result;
      }),
  };
}

/** Prepares `listSent`. */
function createListSent(db: Kysely<Tables>): Pick<SentUploads, 'listSent'> {
  const newestFirst = db
    .selectFrom('uploads')
    .select([
      'id',
      'link_id as linkId',
      'sender',
      'note',
      'state',
      'filename',
      'size',
      'offset',
      'created_at as createdAt',
      'file_id as fileId',
    ])
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc');
  const selectFirst = prepare((by: { linkId: string; limit: number }) =>
    newestFirst.where('link_id', '=', by.linkId).limit(by.limit),
  );
  const selectAfter = prepare((by: { linkId: string; createdAt: number; id: string; limit: number }) =>
    newestFirst
      .where('link_id', '=', by.linkId)
      .where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(by.createdAt, by.id)))
      .limit(by.limit),
  );

  return {
    async listSent({ linkId, limit, cursor }) {
      const query = { linkId, limit: limit + 1 };
      const rows =
        cursor === undefined
          ? await selectFirst.rows(db, query)
          : await selectAfter.rows(db, { ...query, ...decodeCursor(cursor) });
      const uploads = rows.slice(0, limit) as SentUpload[];
      const last = uploads.at(-1);
      return { uploads, nextCursor: last && rows.length > limit ? encodeCursor(last) : null };
    },
  };
}

/** Prepares `findSenders`. */
function createFindSenders(db: Kysely<Tables>): Pick<SentUploads, 'findSenders'> {
  type Values = Record<string, string>;
  type Row = Sent & { fileId: string; createdAt: number };
  /** By the number of ids that they take. */
  const prepared = new Map<number, Prepared<Values, Row>>();

  function prepareFor(count: number): Prepared<Values, Row> {
    return prepare((by: Values) => {
      const ids = Array.from({ length: count }, (_, index) => by[`id${index}`] as string);
      return db
        .selectFrom('uploads')
        .innerJoin('files', 'files.id', 'uploads.file_id')
        .select([
          sql<string>`uploads.file_id`.as('fileId'),
          sql<string>`uploads.link_id`.as('linkId'),
          'uploads.sender',
          'uploads.note',
          'uploads.created_at as createdAt',
        ])
        .where('uploads.link_id', 'is not', null)
        .where('uploads.file_id', 'is not', null)
        .where('uploads.file_id', 'in', ids)
        .whereRef('uploads.created_at', '<=', 'files.uploaded_at');
    });
  }

  return {
    async findSenders(fileIds) {
      if (fileIds.length === 0) return [];
      // Ids are repeated up to a power of two, as those of `findFiles`.
      const count = 2 ** Math.ceil(Math.log2(fileIds.length));
      const query = prepared.get(count) ?? prepareFor(count);
      prepared.set(count, query);
      const values = Array.from({ length: count }, (_, index) => [
        `id${index}`,
        fileIds[Math.min(index, fileIds.length - 1)],
      ]);
      const rows = await query.rows(db, Object.fromEntries(values));
      const first = new Map<string, Row>();
      for (const row of rows) {
        const known = first.get(row.fileId);
        if (!known || row.createdAt < known.createdAt) first.set(row.fileId, row);
      }
      return [...first.values()].map(({ fileId, linkId, sender, note }) => ({ fileId, linkId, sender, note }));
    },
  };
}

/** Prepares the lists. */
export function createSentUploads(db: Kysely<Tables>): SentUploads {
  const selectOpen = prepare((by: { linkId: string; limit: number }) =>
    db
      .selectFrom('uploads')
      .select(['id', 'owner'])
      .where('link_id', '=', by.linkId)
      .where('state', '=', RECEIVING)
      .orderBy('id')
      .limit(by.limit),
  );
  const selectWithoutLink = prepare((by: { linkId: string; id: string; limit: number }) =>
    db
      .selectFrom('uploads')
      .select(['id', 'link_id as linkId'])
      .where('link_id', 'is not', null)
      .where('state', '=', RECEIVING)
      .where((eb) => eb(eb.refTuple('link_id', 'id'), '>', eb.tuple(by.linkId, by.id)))
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('links')
              .select('links.id')
              .whereRef('links.id', '=', 'uploads.link_id')
              .where('links.revoked_at', 'is', null),
          ),
        ),
      )
      .orderBy('link_id')
      .orderBy('id')
      .limit(by.limit),
  );

  return {
    ...createFindSenders(db),
    ...createListSent(db),
    async listWithoutLink(after, limit) {
      const rows = await selectWithoutLink.rows(db, { linkId: after?.linkId ?? '', id: after?.id ?? '', limit });
      return rows as { id: string; linkId: string }[];
    },
    listOpenSent: (linkId, limit) => selectOpen.rows(db, { linkId, limit }),
  };
}

type Place = Pick<SentUpload, 'createdAt' | 'id'>;

function encodeCursor({ createdAt, id }: Place): string {
  return Buffer.from(JSON.stringify(['sent', createdAt, id])).toString('base64url');
}

/** Reads what `encodeCursor` wrote. @throws CatalogError `invalid_cursor`. */
function decodeCursor(cursor: string): Place {
  try {
    const fields: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(fields) && fields.length === 3) {
      const [what, createdAt, id] = fields as unknown[];
      if (what === 'sent' && Number.isSafeInteger(createdAt) && typeof id === 'string')
        return { createdAt: createdAt as number, id };
    }
  } catch {
    // Refused below.
  }
  throw new CatalogError('invalid_cursor', 'The cursor cannot be used: it is not one of this service.');
}
