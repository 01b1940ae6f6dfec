/** The clock of a catalog in SQLite, as a parameter of its statements. */
import { sql } from 'kysely';
import type { SqlClock } from '../queries/clock.ts';
import { AtRun } from '../queries/prepare.ts';
import type { Clock } from './clock.ts';

/** Binds the time when a statement runs: only one process has the database open, and a parameter costs less than an SQL function. */
export function createSqlClock(clock: Clock): SqlClock {
  return {
    wall: sql<number>`${new AtRun(() => clock.wall())}`,
    steady: sql<number>`${new AtRun(() => clock.steady())}`,
    earliest: sql<number>`${new AtRun(() => clock.earliest())}`,
    latest: sql<number>`${new AtRun(() => clock.latest())}`,
  };
}
