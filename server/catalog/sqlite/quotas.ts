/** What keeping quotas needs of SQLite: nothing, as its transactions run one after the other. */
import type { QuotaDialect } from '../dialect.ts';
import { sqliteQueries } from './dialect.ts';

export const sqliteQuotas: QuotaDialect = {
  hold: sqliteQueries.hold,
  isConcurrent: false,
  settle: async () => undefined,
  mostAtOnce: async () => 1,
  mostHolding: Infinity,
};
