/** Lists of partials, and of the finals that join them. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, UploadKind } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import type { SqlClock } from './clock.ts';
import { prepare } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { uploadRecord } from './upload-rows.ts';

export type FinalQueries = Pick<Catalog, 'listPartials' | 'listFinalsOf' | 'listFinalsDue' | 'listFinalsToRelease'>;

/** A time earlier than all recorded ones. */
const FIRST = Number.MIN_SAFE_INTEGER;
const FINAL = sql.lit<UploadKind>('final');

/** Prepares the lists. */
export function createFinalQueries(db: Kysely<Tables>, clock: SqlClock): FinalQueries {
  const record = uploadRecord(clock);

  const selectPartials = prepare((by: { finalId: string }) =>
    db
      .selectFrom('final_partials')
      .innerJoin('uploads', 'uploads.id', 'final_partials.partial_id')
      .select(record)
      .where('final_partials.final_id', '=', by.finalId)
      .orderBy('final_partials.position'),
  );

  const selectFinalsOf = prepare((by: { partialId: string }) =>
    db
      .selectFrom('uploads')
      .select(record)
      .where('state', '=', RECEIVING)
      .where('id', 'in', (eb) =>
        eb.selectFrom('final_partials').select('final_id').where('partial_id', '=', by.partialId),
      ),
  );

  const partialsOf = (isMeant: ReturnType<typeof sql<boolean>>) => sql<boolean>`exists (
    select 1 from final_partials join uploads as partial on partial.id = final_partials.partial_id
    where final_partials.final_id = uploads.id and ${isMeant})`;
  const isLacking = sql<boolean>`partial.state = ${RECEIVING} and partial."offset" is distinct from partial.size`;
  const hasEnded = sql<boolean>`partial.state <> ${RECEIVING}`;

  const selectDue = prepare((by: { createdAt: number; id: string; limit: number }) =>
    db
      .selectFrom('uploads')
      .select(record)
      .where('state', '=', RECEIVING)
      .where('kind', '=', FINAL)
      .where((eb) => eb(eb.refTuple('created_at', 'id'), '>', eb.tuple(by.createdAt, by.id)))
      .where((eb) => eb.or([eb.not(partialsOf(isLacking)), partialsOf(hasEnded)]))
      .orderBy('created_at')
      .orderBy('id')
      .limit(by.limit),
  );

  const selectToRelease = prepare((by: { limit: number }) =>
    db
      .selectFrom('final_partials')
      .innerJoin('uploads', 'uploads.id', 'final_partials.final_id')
      .select(record)
      .where('position', '=', sql.lit(1))
      .where('state', '<>', RECEIVING)
      .orderBy('final_id')
      .limit(by.limit),
  );

  return {
    listPartials: (finalId) => selectPartials.rows(db, { finalId }),

    listFinalsOf: (partialId) => selectFinalsOf.rows(db, { partialId }),

    listFinalsDue(after, limit) {
      return selectDue.rows(db, { createdAt: after?.createdAt ?? FIRST, id: after?.id ?? '', limit });
    },

    listFinalsToRelease: (limit) => selectToRelease.rows(db, { limit }),
  };
}
