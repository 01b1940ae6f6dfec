/** The catalog's clock in SQL statements; each dialect implements it. */
import type { RawBuilder } from 'kysely';

/**
 * Whole milliseconds since the epoch, by the one clock that all nodes share. In a database with a clock of its own, all
 * four are the same; SQLite uses the machine's clock, which may jump, so there they differ (sqlite/clock.ts).
 */
export interface SqlClock {
  /** For times that people read. */
  readonly wall: RawBuilder<number>;
  /** To measure how long ago something was. */
  readonly steady: RawBuilder<number>;
  /** To decide what has expired. */
  readonly earliest: RawBuilder<number>;
  /** To set an expiry. */
  readonly latest: RawBuilder<number>;
}
