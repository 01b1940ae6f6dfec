/** Lists of uploads that jobs work on, in bounded pages. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Catalog, Phase, UploadKind } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { createLeftBehind } from './left-behind.ts';
import { aliveAfter, type NodeDialect, prepareSelectAlive } from './nodes.ts';
import { prepare, type Prepared } from './prepare.ts';
import { RECEIVING } from './states.ts';
import { uploadRecord } from './upload-rows.ts';

/** A time earlier than all recorded ones. */
const FIRST = Number.MIN_SAFE_INTEGER;

/** Prepares the lists of uploads. */
export function createListUploads(
  db: Kysely<Tables>,
  dialect: NodeDialect,
  { isAmong }: QueryDialect,
): Pick<Catalog, 'listExpired' | 'listUnpublished' | 'listAbandoned' | 'abandonedMark'> {
  const { clock } = dialect;
  const record = uploadRecord(clock);
  const receiving = db.selectFrom('uploads').select(record).where('state', '=', RECEIVING);

  const selectExpired = prepare((by: { expiresAt: number; id: string; limit: number }) =>
    receiving
      .where('expires_at', '<=', clock.earliest)
      .where((eb) => eb(eb.refTuple('expires_at', 'id'), '>', eb.tuple(by.expiresAt, by.id)))
      .orderBy('expires_at')
      .orderBy('id')
      .limit(by.limit),
  );

  const selectUnpublished = prepare((by: { createdAt: number; id: string; limit: number }) =>
    receiving
      .whereRef('offset', '=', 'size')
      .where('kind', '<>', sql.lit<UploadKind>('partial'))
      .where((eb) => eb(eb.refTuple('created_at', 'id'), '>', eb.tuple(by.createdAt, by.id)))
      .orderBy('created_at')
      .orderBy('id')
      .limit(by.limit),
  );

  const selectAlive = prepareSelectAlive(db, dialect);
  const selectAny = prepareSelectAny(db);
  const selectAbandoned = prepare(
    (by: { expiresAt: number; id: string; alive: string; limit: number }) =>
      receiving
        .where((eb) => eb(eb.refTuple('expires_at', 'id'), '>', eb.tuple(by.expiresAt, by.id)))
        .where((eb) =>
          eb.or([
            eb('phase', '=', sql.lit<Phase>('unrecovered')),
            eb.and([
              eb('phase', 'is not', null),
              sql<boolean>`not coalesce(${isAmong(eb.ref('holder'), by.alive)}, false)`,
            ]),
          ]),
        )
        .orderBy('expires_at')
        .orderBy('id')
        .limit(by.limit),
    { aside: true },
  );

  const leftBehind = createLeftBehind(db, dialect);
  const selectDead = prepareSelectDead(db, dialect);

  return {
    listExpired(after, limit) {
      return selectExpired.rows(db, { expiresAt: after?.expiresAt ?? FIRST, id: after?.id ?? '', limit });
    },

    listUnpublished(after, limit) {
      return selectUnpublished.rows(db, { createdAt: after?.createdAt ?? FIRST, id: after?.id ?? '', limit });
    },

    async listAbandoned(after, limit) {
      // Each start asks, and most have nothing open: then no thread has to start for the long read below.
      if (!after && !(await selectAny.first(db, {}))) return [];
      // A node that joins meanwhile does no harm: its leases are not free, as `takeLease` finds out.
      const alive = JSON.stringify((await selectAlive.rows(db, {})).map(({ id }) => id));
      return selectAbandoned.rows(db, { expiresAt: after?.expiresAt ?? FIRST, id: after?.id ?? '', alive, limit });
    },

    async abandonedMark() {
      const count = await leftBehind.read();
      // A node that came back to life and died again was last seen at another time.
      const dead = (await selectDead.rows(db, {})).map(({ id, seenAt }) => `${id} ${seenAt}`);
      return [count, ...dead].join(', ');
    },
  };
}

/** One of the uploads that receive, by the index of their expiry. */
function prepareSelectAny(db: Kysely<Tables>): Prepared<object, { id: string }> {
  return prepare(() =>
    db
      .selectFrom('uploads')
      .select('id')
      .where('state', '=', RECEIVING)
      .where('expires_at', '>=', sql.lit(FIRST))
      .orderBy('expires_at')
      .orderBy('id')
      .limit(sql.lit(1)),
  );
}

/** The nodes that have died, or are as good as dead. */
function prepareSelectDead(db: Kysely<Tables>, dialect: NodeDialect): Prepared<object, { id: string; seenAt: number }> {
  return prepare(() =>
    db
      .selectFrom('nodes')
      .select(['id', 'seen_at as seenAt'])
      .where('seen_at', '<=', aliveAfter(dialect))
      .orderBy('id'),
  );
}
