/** The clock of a catalog in SQLite, as its statements ask for it. */
import { sql } from 'kysely';
import type { SqlClock } from '../queries/clock.ts';
import { AtRun } from '../queries/prepare.ts';
import type { Clock } from './clock.ts';

/** One process has the database: a number that is bound when a statement runs costs less than a function that it calls. */
export function createSqlClock(clock: Clock): SqlClock {
  return {
    wall: sql<number>`${new AtRun(() => clock.wall())}`,
    steady: sql<number>`${new AtRun(() => clock.steady())}`,
    earliest: sql<number>`${new AtRun(() => clock.earliest())}`,
    latest: sql<number>`${new AtRun(() => clock.latest())}`,
  };
}
