/** Three nodes on one PostgreSQL and one Ceph, behind a balancer: how to disturb them, and how to find what they left over. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openBalancer } from '../../test/harness/balancer.ts';
import { BUCKETS, PREFIX, type SystemBucket } from '../../test/harness/buckets.ts';
import { type RunningPostgres, startPostgres } from '../../test/harness/postgres.ts';
import { type Line, openLine } from '../../test/harness/proxy.ts';
import { type RunningService, startService } from '../../test/harness/service.ts';
import { createDatabaseOf, type TestDatabase, urlOf } from '../../test/harness/shared-postgres.ts';

const NODES = 3;
/** Without one, a deletion frees what it deletes, which is looked at in the end. */
const TRASH_TTL = process.env['TRASH_TTL'] ?? '0';
/** Whether the nodes keep deleted files. */
export const HAS_TRASH = TRASH_TTL !== '0';
/** How often to check, after the restart of each node, whether anything is left over. */
const LOOKS = 30;

/** One node. */
export interface ClusterNode {
  readonly service: RunningService;
  /** Its connections to the database. */
  readonly line: Line;
}

/** The running cluster. */
export interface Cluster {
  /** The balancer's address. */
  readonly url: string;
  readonly nodes: readonly ClusterNode[];
  readonly database: RunningPostgres;
  /** Runs a statement on the catalog. @returns its rows. */
  run<Row extends object>(statement: string): Promise<Row[]>;
  /** Stops all processes of the database, and lets them continue after a while. */
  freezeDatabase(forMs: number): Promise<void>;
  /** Closes all connections to the database. */
  endConnections(): Promise<void>;
  /** Kills the bucket's gateway (SIGKILL) and starts it again. */
  restartGateway(): Promise<void>;
  /** Lists what catalog and bucket contain besides files. To be called while no upload is unfinished. */
  leftovers(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts the cluster. @throws Error where PostgreSQL or Ceph is missing, saying how to get it. */
export async function startCluster(): Promise<Cluster> {
  const opened: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of opened.toReversed()) await close();
  };
  try {
    const database = await startPostgres();
    opened.push(() => database.stop());
    const catalog = await createDatabaseOf(database.port);
    const bucket = await startCeph();
    opened.push(() => bucket.stop());
    const nodes: ClusterNode[] = [];
    for (let number = 0; number < NODES; number++) {
      const line = await openLine({ toPort: database.port });
      opened.push(() => line.close());
      const env = { ...bucket.env(), DATABASE_URL: urlOf(line.port, catalog.name), LOG_LEVEL: 'info', TRASH_TTL };
      const service = await startService({ env });
      opened.push(() => service.stop());
      nodes.push({ service, line });
    }
    const balancer = await openBalancer(nodes.map(({ service }) => service.port));
    opened.push(() => balancer.close());
    return {
      url: balancer.url,
      nodes,
      database,
      run: (statement) => catalog.run(statement),
      freezeDatabase: (forMs) => freeze(database, forMs),
      endConnections: async () => {
        await catalog.run(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
        );
      },
      restartGateway: async () => bucket.restartGateway?.(),
      leftovers: () => compare(bucket, catalog),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startCeph(): Promise<SystemBucket> {
  const place = BUCKETS.find(({ name }) => name === 'Ceph');
  if (!place || place.missing !== undefined) throw new Error(place?.missing ?? 'Ceph is unknown');
  return place.start();
}

async function freeze({ folder }: RunningPostgres, forMs: number): Promise<void> {
  const [first = ''] = (await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8')).split('\n');
  const frozen = [Number(first), ...(await childrenOf(first))];
  for (const pid of frozen) signal(pid, 'SIGSTOP');
  await wait(forMs);
  for (const pid of frozen.toReversed()) signal(pid, 'SIGCONT');
}

/** A process may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Finds children by proc(5): after the name in parentheses come the state and the parent. */
async function childrenOf(parent: string): Promise<number[]> {
  const children: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === parent) children.push(Number(pid));
  }
  return children;
}

/** Restarts nodes until their jobs have removed everything. @returns what is left over even then. */
export async function cleanUp(cluster: Cluster): Promise<string[]> {
  let left = await cluster.leftovers();
  for (const { service } of cluster.nodes) {
    if (left.length === 0) break;
    await service.restart();
    for (let looks = 0; left.length > 0 && looks < LOOKS; looks++) {
      await wait(250);
      left = await cluster.leftovers();
    }
  }
  return left;
}

/** Queries that count leftovers: each must be 0 while no upload is unfinished. */
const ROWS: Record<string, string> = {
  // If the answer to a POST is lost, the client begins a new upload, and the first one stays empty until it expires.
  'uploads under way': `select count(*) from uploads where state = 'receiving' and "offset" > 0`,
  'uploads of which the store keeps something':
    "select count(*) from uploads where store_state is not null and state <> 'receiving'",
  parts: 'select count(*) from parts',
  removals: 'select count(*) from removals',
  'contents without a file': `select count(*) from contents where not exists (select 1 from files where files.content_id = contents.id)
      and not exists (select 1 from trash where trash.content_id = contents.id)`,
};

async function compare(bucket: SystemBucket, catalog: TestDatabase): Promise<string[]> {
  const left: string[] = [];
  for (const [what, statement] of Object.entries(ROWS)) {
    const [row] = await catalog.run<{ count: string }>(statement);
    if (row?.count !== '0') left.push(`${row?.count} ${what}`);
  }
  const rows = await catalog.run<{ key: string }>('select key from contents');
  const known = new Set(rows.map(({ key }) => key.slice(PREFIX.length)));
  const found = await bucket.keys();
  return [
    ...left,
    ...found.filter((key) => !known.has(key)).map((key) => `the object ${key}`),
    ...[...known].filter((key) => !found.includes(key)).map((key) => `a content without its object ${key}`),
    ...(await bucket.multiparts()).map((key) => `a multipart upload of ${key}`),
  ];
}
