/** Records a new upload, unless its owner has too many. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, NewUpload, UploadKind } from '../catalog.ts';
import type { FinalPartialsTable, Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';

/** Prepares `createUpload`. */
export function createBeginUpload(db: Kysely<Tables>, clock: SqlClock): Pick<Catalog, 'createUpload'> {
  // The statement that inserts the upload also counts the owner's. Concurrent transactions could still exceed the limit,
  // so PostgreSQL uses a function instead (postgres/with-functions.ts).
  const insert = prepare((upload: NewUpload & { kind: UploadKind; skipped: number }) => {
    const values = {
      id: upload.id,
      owner: upload.owner,
      kind: upload.kind,
      state: RECEIVING,
      size: upload.size,
      md5: upload.md5,
      sha1: upload.sha1,
      sha256: upload.sha256,
      filename: upload.filename,
      filetype: upload.filetype,
      metadata: upload.metadata,
      offset: sql.lit(0),
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
      .columns(columns)
      .expression(
        db
          .selectNoFrom(columns.map((name) => sql`${values[name]}`.as(name)))
          .where((eb) => eb.not(eb.exists(oneTooMany))),
      )
      .returning(['created_at as createdAt', 'expires_at as expiresAt']);
  });

  const insertPartial = prepare((row: FinalPartialsTable) =>
    db
      .insertInto('final_partials')
      .values({ final_id: row.final_id, position: row.position, partial_id: row.partial_id }),
  );

  return {
    createUpload({ kind = 'file', partials, ...upload }, mostOpen) {
      const values = { ...upload, kind, skipped: (mostOpen ?? Number.MAX_SAFE_INTEGER) - 1 };
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
