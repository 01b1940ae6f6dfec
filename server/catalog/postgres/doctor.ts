/** The doctor's section of the catalog in a PostgreSQL database. */
import { type Finding, type Section } from '../../../stores/section.ts';
import { nameOf } from './address.ts';
import type { PostgresAddress } from './connect.ts';
import { inspectPostgresCatalog } from './inspect.ts';

/** Looks at the catalog without changing it. */
export function postgresSection(address: PostgresAddress): Section {
  return {
    steps: [{ name: 'catalog', tried: `opening ${nameOf(address.url)}`, run: () => inspect(address) }],
    gate: 'catalog',
    explain: (error) => ({
      found: error instanceof Error ? error.message : String(error),
      change: 'put it right, or point DATABASE_URL at another database',
    }),
  };
}

async function inspect(address: PostgresAddress): Promise<Finding> {
  const { serverMajor, schema, newestSchema, isInUse } = await inspectPostgresCatalog(address);
  if (schema === 0) return { found: `PostgreSQL ${serverMajor}, no tables yet: the first start makes them` };
  const known = `PostgreSQL ${serverMajor}, schema ${schema} of ${newestSchema}`;
  if (isInUse) return { found: `a running service has it open, ${known}` };
  return schema < newestSchema
    ? { found: `${known}: the next start brings it up to date`, note: true }
    : { found: known };
}
