/** What keeping quotas needs of PostgreSQL. */
import { CompiledQuery, type Kysely, sql } from 'kysely';
import type { QuotaDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import { postgresQueries } from './dialect.ts';

const SETTLE = CompiledQuery.raw('set constraints all immediate');

/** For one database, to which this process has so many connections. */
export function createPostgresQuotas(db: Kysely<Tables>, poolSize: number): QuotaDialect {
  let most: Promise<number> | undefined;

  async function readMost(): Promise<number> {
    const query = sql<{ most: number }>`select cast(current_setting('max_connections') as integer) as most`;
    const [row] = (await query.execute(db)).rows;
    if (!row) throw new Error('a setting has no row');
    return row.most;
  }

  return {
    hold: postgresQueries.hold,
    isConcurrent: true,
    mostHolding: Math.max(1, Math.floor(poolSize / 2)),
    settle: async (executor) => {
      await executor.executeQuery(SETTLE);
    },
    mostAtOnce: () => {
      most ??= readMost().catch((error: unknown) => {
        most = undefined;
        throw error;
      });
      return most;
    },
  };
}
