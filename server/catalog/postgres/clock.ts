/** The database's clock, which all nodes share: in SQL statements, and as this process computes it between two queries. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { CatalogClock } from '../catalog.ts';
import type { SqlClock } from '../queries/clock.ts';
import type { Tables } from '../schema.ts';

/**
 * The current time; `now()` would be the start of the transaction. As a subquery it is evaluated once for each statement;
 * otherwise PostgreSQL would evaluate it for each row, and could not use an index with it.
 */
export const DATABASE_NOW = sql<number>`(select floor(extract(epoch from clock_timestamp()) * 1000)::bigint)`;

/** The database has one clock, which serves all four purposes. */
export function createSqlClock(now: RawBuilder<number>): SqlClock {
  return { wall: now, steady: now, earliest: now, latest: now };
}

/** The database's clock as this process knows it. */
export interface FollowedClock {
  clock: CatalogClock;
  /** Reads the database's clock again: it may have been set, and this process's may run at another speed. */
  ask: () => Promise<void>;
}

/** Adds the time that has passed in this process to the last answer. It is behind by as long as that answer travelled. */
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
