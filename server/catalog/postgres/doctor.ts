/** The doctor's section of the catalog in a PostgreSQL database. */
import { type Finding, type Section } from '../../../stores/section.ts';
import { nameOf } from './address.ts';
import type { PostgresAddress } from './connect.ts';
import { type CatalogState, hearsNotifications, inspectPostgresCatalog } from './inspect.ts';

/** Looks at the catalog without changing it. */
export function postgresSection(address: PostgresAddress): Section {
  return {
    steps: [
      { name: 'catalog', tried: `opening ${nameOf(address.url)}`, run: () => inspect(address) },
      {
        name: 'notifications',
        tried: 'listening on one connection, and sending on another',
        needs: ['catalog'],
        run: () => listen(address),
      },
    ],
    gate: 'catalog',
    explain: (error) => ({
      found: error instanceof Error ? error.message : String(error),
      change: 'put it right, or point DATABASE_URL at another database',
    }),
  };
}

async function inspect(address: PostgresAddress): Promise<Finding> {
  const { serverMajor, schema, newestSchema, nodes } = await inspectPostgresCatalog(address);
  if (schema === 0) return { found: `PostgreSQL ${serverMajor}, no tables yet: the first start makes them` };
  const known = `PostgreSQL ${serverMajor}, schema ${schema} of ${newestSchema}`;
  if (nodes.length > 0) return { found: `${describeNodes(nodes)}, ${known}` };
  return schema < newestSchema
    ? { found: `${known}: the next start brings it up to date`, note: true }
    : { found: known };
}

/** Says which services have the catalog open, and which others would be refused. */
function describeNodes(nodes: CatalogState['nodes']): string {
  const names = nodes.map(({ name }) => name).join(', ');
  if (nodes.some(({ isAlone }) => isAlone))
    return `a running service has it open (${names}), with STORE=local: another one is refused`;
  const who = nodes.length === 1 ? 'a running service has' : `${nodes.length} running services have`;
  return `${who} it open (${names}): one with STORE=local is refused`;
}

async function listen(address: PostgresAddress): Promise<Finding> {
  if (await hearsNotifications(address)) return { found: 'what is sent arrives' };
  return {
    found: 'what is sent does not arrive: the connection is one of a pooler in transaction mode',
    note: true,
    change: 'set DATABASE_DIRECT_URL to the address of the database past the pooler',
  };
}
