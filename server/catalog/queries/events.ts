/** Events: each is written in the transaction of the change that it reports, and read by number. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, EventKind, EventRecord, FileRecord } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { Sent } from '../sent-uploads.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import type { Executor } from './prepare.ts';

export type EventQueries = Pick<Catalog, 'listEvents' | 'latestEvent' | 'forgetEvents'>;

/** An event as one flat row. */
interface EventRow {
  number: number;
  owner: string;
  kind: EventKind;
  at: number;
  fileId: string;
  name: string;
  type: string | null;
  uploadedAt: number;
  contentId: number;
  md5: string;
  size: number;
  movedFrom: string | null;
  sha1: string | null;
  sha256: string | null;
  linkId: string | null;
  sender: string | null;
  note: string | null;
}

/** The columns of an EventRow. */
const EVENT_ROW = [
  'events.number',
  'events.owner',
  'events.kind',
  'events.at',
  'events.file_id as fileId',
  'events.name',
  'events.type',
  'events.uploaded_at as uploadedAt',
  'events.content_id as contentId',
  'events.md5',
  'events.size',
  'events.moved_from as movedFrom',
  'contents.sha1',
  'contents.sha256',
  'sent.link_id as linkId',
  'sent.sender',
  'sent.note',
] as const;

/** Prepares the insertion of a file's event, to run in the transaction of the change. */
export function prepareInsertEvent(db: Kysely<Tables>, clock: SqlClock) {
  const insert = prepareInsert(db, clock);

  return async function insertEvent(
    executor: Executor,
    kind: Exclude<EventKind, 'moved'>,
    { id: fileId, owner, name, type, uploadedAt, content }: FileRecord,
  ): Promise<void> {
    const { id: contentId, md5, size } = content;
    const file = { fileId, name, type, uploadedAt, contentId, md5, size };
    await insert.changes(executor, { owner, kind, ...file, movedFrom: null });
  };
}

/** Prepares the insertion of the event of a folder that moves. */
export function prepareInsertMove(db: Kysely<Tables>, clock: SqlClock) {
  const insert = prepareInsert(db, clock);
  const noFile = { fileId: '', type: null, uploadedAt: 0, contentId: 0, md5: '', size: 0 };

  return async function insertMove(executor: Executor, owner: string, from: string, to: string): Promise<void> {
    await insert.changes(executor, { owner, kind: 'moved', ...noFile, name: to, movedFrom: from });
  };
}

function prepareInsert(db: Kysely<Tables>, clock: SqlClock) {
  type Values = Omit<EventRow, 'number' | 'at' | 'sha1' | 'sha256' | keyof Sent>;
  return prepare((event: Values) =>
    db.insertInto('events').values({
      owner: event.owner,
      kind: event.kind,
      at: clock.steady,
      file_id: event.fileId,
      name: event.name,
      type: event.type,
      uploaded_at: event.uploadedAt,
      content_id: event.contentId,
      md5: event.md5,
      size: event.size,
      moved_from: event.movedFrom,
    }),
  );
}

function toEventRecord(row: EventRow): EventRecord {
  const { number, owner, kind, at, fileId, name, type, uploadedAt, contentId, md5, size, sha1, sha256 } = row;
  if (kind === 'moved') return { number, kind, at, owner, from: row.movedFrom ?? '', to: name };
  const content = { id: contentId, md5, sha1, sha256, size };
  const { linkId, sender, note } = row;
  const sent = linkId === null ? {} : { sent: { linkId, sender, note } };
  return { number, kind, at, ...sent, file: { id: fileId, owner, name, type, uploadedAt, content } };
}

/** Prepares the lookup of the greatest number in a table: of one owner, or, with `owner` null, of all. */
function prepareLatestNumber(db: Kysely<Tables>, table: 'events' | 'forgotten_events') {
  const ofAll = prepare(() =>
    db.selectFrom(table).select('number').where('number', '>', sql.lit(0)).orderBy('number', 'desc').limit(sql.lit(1)),
  );
  const ofOwner = prepare((by: { owner: string }) =>
    db.selectFrom(table).select('number').where('owner', '=', by.owner).orderBy('number', 'desc').limit(sql.lit(1)),
  );

  return async function latestNumber(owner: string | null): Promise<number | undefined> {
    const row = owner === null ? await ofAll.first(db, {}) : await ofOwner.first(db, { owner });
    return row?.number;
  };
}

/** Prepares the queries on events. */
export function createEventQueries(db: Kysely<Tables>, clock: SqlClock): EventQueries {
  // Digests are joined through the file. Once the owner has deleted it, the content may exist for other owners only, and
  // the event must show no digests.
  const selectEvents = () =>
    db
      .selectFrom('events')
      .leftJoin('files', 'files.id', 'events.file_id')
      .leftJoin('contents', 'contents.id', 'files.content_id')
      // The first of several uploads by links of the same bytes and name, which all became this file; and none that came after it.
      .leftJoin('uploads as sent', (join) =>
        join.on('events.kind', '=', sql.lit<EventKind>('published')).on(
          'sent.id',
          '=',
          sql<string>`(select u.id from uploads as u where u.link_id is not null and u.file_id is not null
            and u.file_id = events.file_id and u.created_at <= events.at order by u.created_at, u.id limit 1)`,
        ),
      )
      .select(EVENT_ROW)
      .orderBy('events.number');
  const selectAll = prepare((by: { after: number; limit: number }) =>
    selectEvents().where('events.number', '>', by.after).limit(by.limit),
  );
  const selectOfOwner = prepare((by: { owner: string; after: number; limit: number }) =>
    selectEvents().where('events.owner', '=', by.owner).where('events.number', '>', by.after).limit(by.limit),
  );

  const latestEvent = prepareLatestNumber(db, 'events');
  const latestForgotten = prepareLatestNumber(db, 'forgotten_events');

  const selectOldest = prepare((by: { forMs: number; limit: number }) =>
    db
      .selectFrom('events')
      .select(['number', 'owner', sql`at >= ${clock.steady} - ${by.forMs}`.as('stays')])
      .where('number', '>', sql.lit(0))
      .orderBy('number')
      .limit(by.limit),
  );
  const noteForgotten = prepare((row: { owner: string; number: number }) =>
    db
      .insertInto('forgotten_events')
      .values({ owner: row.owner, number: row.number })
      .onConflict((conflict) =>
        conflict
          .column('owner')
          .doUpdateSet((eb) => ({ number: eb.ref('excluded.number') }))
          // Another node may have forgotten more meanwhile.
          .whereRef('forgotten_events.number', '<', 'excluded.number'),
      ),
  );
  const deleteUpTo = prepare((by: { number: number }) => db.deleteFrom('events').where('number', '<=', by.number));

  return {
    async listEvents({ owner, after, limit }) {
      const rows =
        owner === null
          ? await selectAll.rows(db, { after, limit })
          : await selectOfOwner.rows(db, { owner, after, limit });
      // Read last: an event that is not forgotten now was not forgotten when the rows were read.
      if (after < ((await latestForgotten(owner)) ?? 0)) return null;
      return rows.map(toEventRecord);
    },

    async latestEvent(owner) {
      return (await latestEvent(owner)) ?? (await latestForgotten(owner)) ?? 0;
    },

    forgetEvents(forMs, limit) {
      return db.transaction().execute(async (trx) => {
        const oldest = await selectOldest.rows(trx, { forMs, limit });
        const kept = oldest.findIndex(({ stays }) => Boolean(stays));
        const forgotten = kept < 0 ? oldest : oldest.slice(0, kept);
        const last = forgotten.at(-1);
        if (!last) return 0;
        // For each owner, the number of the last forgotten event is kept.
        const lastOf = new Map(forgotten.map(({ owner, number }) => [owner, number]));
        for (const [owner, number] of lastOf) await noteForgotten.changes(trx, { owner, number });
        return deleteUpTo.changes(trx, { number: last.number });
      });
    },
  };
}
