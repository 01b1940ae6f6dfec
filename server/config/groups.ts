/** What of the service this process runs, and in how many processes. */
import { type DatabaseConfig, SERVICE_GROUPS, type ServiceGroup, type StoreConfig } from './config.ts';
import { quote } from './problems.ts';
import type { Reader } from './reader.ts';

/** `SERVICES`: all of it by default. */
export function readServices(read: Reader, database: DatabaseConfig): ServiceGroup[] {
  const given = read.list('SERVICES');
  if (given.length === 0) return [...SERVICE_GROUPS];
  const wanted = new Set<ServiceGroup>();
  for (const name of given) {
    const group = SERVICE_GROUPS.find((known) => known === name.toLowerCase());
    if (group) wanted.add(group);
    else read.problem('SERVICES', `must be a list of ${SERVICE_GROUPS.join(', ')}; ${quote(name)} is none of them`);
  }
  if (database.kind === 'sqlite' && wanted.size > 0 && !wanted.has('worker')) {
    read.problem(
      'SERVICES',
      'must have worker where the catalog is SQLite: no other process can expire uploads and remove what was deleted',
    );
  }
  return SERVICE_GROUPS.filter((group) => wanted.has(group));
}

const MOST_WORKERS = 256;

/** `WORKERS`. */
export function readWorkers(read: Reader, database: DatabaseConfig, store: StoreConfig): number {
  const workers = read.wholeNumber('WORKERS', 1, 1, MOST_WORKERS);
  if (workers === 1) return workers;
  if (database.kind === 'sqlite') {
    read.problem(
      'WORKERS',
      'must be 1 where the catalog is SQLite, which one process holds: set DATABASE_URL=postgres://…',
    );
  }
  if (store.kind === 'local') {
    read.problem('WORKERS', 'must be 1 with STORE=local, whose folder one process holds: several need a bucket');
  }
  return workers;
}
