/** The database's clock, which all nodes share: in statements, and as this process knows it without asking. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { CatalogClock } from '../catalog.ts';
import type { SqlClock } from '../queries/clock.ts';
import type { Tables } from '../schema.ts';

/**
 * Not the transaction's, which stands still. In a query of its own it is asked once for each statement; otherwise it would
 * be asked for each row, and no index could be searched by it.
 */
export const DATABASE_NOW = sql<number>`(select floor(extract(epoch from clock_timestamp()) * 1000)::bigint)`;

/** It is one clock, whatever it is asked for. */
export function createSqlClock(now: RawBuilder<number>): SqlClock {
  return { wall: now, steady: now, earliest: now, latest: now };
}

export interface FollowedClock {
  clock: CatalogClock;
  /** Asks the database again: its clock may have been set, and this process's may run at another speed. */
  ask: () => Promise<void>;
}

/** Goes on from the last answer by this process's own count. It is behind by as long as that answer took. */
export function followClock(db: Kysely<Tables>, now: RawBuilder<number>): FollowedClock {
  let toldMs = 0;
  let heardMs = performance.now();
  const read = (): number => Math.floor(toldMs + performance.now() - heardMs);
  return {
    clock: { earliest: read, latest: read },
    ask: async () => {
      const { now: told } = await db.selectNoFrom(now.as('now')).executeTakeFirstOrThrow();
      toldMs = told;
      heardMs = performance.now();
    },
  };
}
