/** The catalog's clock in statements: each dialect brings its own. */
import type { RawBuilder } from 'kysely';

/**
 * Whole milliseconds since the epoch, by the one clock that all nodes share. A database with a clock of its own says the
 * same four times; SQLite takes the machine's, which may jump (sqlite/clock.ts).
 */
export interface SqlClock {
  /** For what people read. */
  readonly wall: RawBuilder<number>;
  /** For how long ago something was. */
  readonly steady: RawBuilder<number>;
  /** What ends by then has ended. */
  readonly earliest: RawBuilder<number>;
  /** A life is counted from it. */
  readonly latest: RawBuilder<number>;
}
