/** Records a new upload, unless its owner has too many. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, NewUpload, UploadKind, UploadRecord, UploadState } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { FinalPartialsTable, Tables } from '../schema.ts';
import type { Sent } from '../sent-uploads.ts';
import type { SqlClock } from './clock.ts';
import { prepare, type Prepared } from './prepare.ts';
import { createWithinQuota } from './sent-uploads.ts';
import { RECEIVING } from './states.ts';

type Times = Pick<UploadRecord, 'createdAt' | 'expiresAt'>;

/** The values of a new upload's row. */
type NewRow = Omit<NewUpload, 'onConflict' | 'sent'> & { kind: UploadKind; skipped: number; replaces: Replaces };
type Replaces = 'replace' | null;

/** What a row keeps of `onConflict`. */
export function replacesOf({ onConflict }: Pick<NewUpload, 'onConflict'>): Replaces {
  return onConflict === 'replace' ? onConflict : null;
}

/**
 * Prepares the insertion of a receiving upload, without bytes; or of a complete one, with its file. It inserts nothing where
 * the owner has `skipped` other receiving ones, and one more.
 *
 * @param isSent - by a link.
 */
export function prepareInsertUpload(db: Kysely<Tables>, clock: SqlClock, state: 'receiving'): Prepared<NewRow, Times>;
export function prepareInsertUpload(
  db: Kysely<Tables>,
  clock: SqlClock,
  state: 'receiving',
  isSent: true,
): Prepared<NewRow & Sent, Times>;
export function prepareInsertUpload(
  db: Kysely<Tables>,
  clock: SqlClock,
  state: 'complete',
): Prepared<NewRow & { fileId: string }, Times>;
export function prepareInsertUpload(
  db: Kysely<Tables>,
  clock: SqlClock,
  state: 'receiving' | 'complete',
  isSent = false,
) {
  // The statement that inserts the upload also counts the owner's. Concurrent transactions could still exceed the limit,
  // so PostgreSQL uses a function instead (postgres/with-functions.ts).
  return prepare((upload: NewRow & Sent & { fileId: string }) => {
    const values = {
      id: upload.id,
      owner: upload.owner,
      kind: upload.kind,
      state: state === 'receiving' ? RECEIVING : sql.lit<UploadState>('complete'),
      size: upload.size,
      md5: upload.md5,
      sha1: upload.sha1,
      sha256: upload.sha256,
      filename: upload.filename,
      filetype: upload.filetype,
      on_conflict: upload.replaces,
      metadata: upload.metadata,
      offset: state === 'receiving' ? sql.lit(0) : upload.size,
      ...(state === 'complete' ? { file_id: upload.fileId } : {}),
      ...(isSent ? { link_id: upload.linkId, sender: upload.sender, note: upload.note } : {}),
      epoch: sql.lit(1),
      holder: upload.holder,
      phase: upload.phase,
      created_at: clock.steady,
      last_byte_at: clock.steady,
      expires_at: sql<number>`${clock.latest} + ${upload.lifeMs}`,
    };
    const columns = Object.keys(values) as (keyof typeof values)[];
    const oneTooMany = db
      .selectFrom('uploads')
      .select('owner')
      .where('owner', '=', upload.owner)
      .where('state', '=', RECEIVING)
      .limit(sql.lit(1))
      .offset(upload.skipped);
    return db
      .insertInto('uploads')
      .columns(columns as never)
      .expression(
        db
          .selectNoFrom(columns.map((name) => sql`${values[name]}`.as(name)))
          .where((eb) => eb.not(eb.exists(oneTooMany))),
      )
      .returning(['created_at as createdAt', 'expires_at as expiresAt']);
  });
}

/** How many receiving uploads an owner may have beside a new one. @param mostOpen - left out: any number. */
export function mostBeside(mostOpen: number | undefined): number {
  return (mostOpen ?? Number.MAX_SAFE_INTEGER) - 1;
}

/** Prepares `createUpload`. */
export function createBeginUpload(
  db: Kysely<Tables>,
  dialect: QueryDialect,
  clock: SqlClock,
): Pick<Catalog, 'createUpload'> {
  const insert = prepareInsertUpload(db, clock, 'receiving');
  const quota = createWithinQuota(db, dialect, clock);
  const insertSent = prepareInsertUpload(db, clock, 'receiving', true);

  const insertPartial = prepare((row: FinalPartialsTable) =>
    db
      .insertInto('final_partials')
      .values({ final_id: row.final_id, position: row.position, partial_id: row.partial_id }),
  );

  return {
    createUpload({ kind = 'file', partials, sent, ...upload }, mostOpen) {
      const values = { ...upload, kind, skipped: mostBeside(mostOpen), replaces: replacesOf(upload) };
      if (sent) {
        return quota.begin(sent.linkId, upload.owner, (trx) => insertSent.first(trx, { ...values, ...sent }));
      }
      if (!partials) return insert.first(db, values);
      const rows = partials.map((id, index) => ({ final_id: upload.id, position: index + 1, partial_id: id }));
      return db.transaction().execute(async (trx) => {
        const begun = await insert.first(trx, values);
        if (begun) for (const row of rows) await insertPartial.changes(trx, row);
        return begun;
      });
    },
  };
}
