/**
 * Measures how throughput grows with the number of nodes on one PostgreSQL and one Ceph, with each node limited to a quarter of
 * a processor; and compares PostgreSQL with SQLite on one node without a limit.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { POSTGRES_MISSING, type RunningPostgres, startPostgres } from '../../test/harness/postgres.ts';
import { CEPH_MISSING, type RunningRgw, startRgw } from '../../test/harness/rgw.ts';
import { createDatabaseOf } from '../../test/harness/shared-postgres.ts';
import { compare } from './compare.ts';
import { createCpuLimit, whyNoCpuLimit } from './cpu-limit.ts';
import { inParallel, sendFileAtOnce, sendFileToTwo } from './load.ts';
import { cpuSeconds, idleSeconds } from './processes.ts';
import { smallFiles } from './side-by-side.ts';
import { describeSmallFilesClient } from './small-files.ts';
import { median, printTable } from './table.ts';
import { bucketEnv, type StartTarget, startTidemark, type Target } from './targets.ts';

const MIB = 1024 * 1024;
const SMALL = 10 * 1024;
/** The processors of each node. */
const LIMIT = Number(process.env['BENCH_NODE_CPUS'] ?? 0.25);
const COUNTS = [1, 2, 3];
/** The target for N nodes: this share of N times the throughput of one node. */
const TO_REACH = 0.85;
/** Files for the warm-up before nodes are limited, so that V8 does not compile during the measurement. */
const WARM_FILES = 1_500;
const WARM_LARGE_FILES = 8;

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const only = process.env['BENCH_ONLY'] ?? '';
const share = Number(process.env['BENCH_SHARE'] ?? 1);

interface Load {
  name: string;
  /** The number for each node that takes part. */
  files: number;
  atOnce: number;
  sizeBytes: number;
  /** Sends a file, each of its requests to another node. */
  send(nodes: Turn): Promise<unknown>;
}

/** The nodes for the requests of a file. */
type Turn = [node: Target, next: Target];

const LOADS: Load[] = [
  {
    name: 'files of 16 MiB by POST and PATCH',
    files: 24,
    atOnce: 4,
    sizeBytes: 16 * MIB,
    send: ([node, next]) => sendFileToTwo(node, next, 16 * MIB),
  },
  {
    name: 'files of 10 KiB in one request',
    files: 600,
    atOnce: 16,
    sizeBytes: SMALL,
    send: ([node]) => sendFileAtOnce(node, SMALL),
  },
];

/** Runs the measurement. */
export async function benchNodes(folder: string): Promise<void> {
  if (POSTGRES_MISSING !== undefined) {
    process.stdout.write(`skipped: ${POSTGRES_MISSING}\n`);
    return;
  }
  const missing = CEPH_MISSING ?? whyNoCpuLimit();
  if (missing !== undefined) process.stdout.write(`skipped, more than one node: ${missing}\n`);
  else {
    for (const load of LOADS.filter(({ name }) => name.includes(only))) await measureNodes(load, folder);
  }
  await compareCatalogs(folder);
}

interface Sample {
  seconds: number;
  files: number;
  /** The CPU seconds of each node that took part. */
  cpu: number[];
  idle: number;
}

/** Runs a load with 1, 2 and 3 nodes. Each load has a new Ceph, whose disk holds about 16 GiB. */
async function measureNodes(load: Load, folder: string): Promise<void> {
  const samples = new Map<number, Sample[]>(COUNTS.map((count) => [count, []]));
  await withPostgres(async (postgres) => {
    const rgw = await startRgw();
    try {
      await withHeldNodes({ postgres, rgw, folder }, load, async (nodes) => {
        for (let round = 0; round < rounds; round++) {
          for (const count of round % 2 === 0 ? COUNTS : COUNTS.toReversed()) {
            // Each round begins with another node, so that a single node is not the same one each time.
            const chosen = nodes.map((_, index) => nodes[(index + round) % nodes.length] as Target).slice(0, count);
            const others = nodes.filter((node) => !chosen.includes(node));
            samples.get(count)?.push(await whileStopped(others, () => measure(load, chosen)));
          }
        }
      });
    } finally {
      await rgw.stop();
    }
  });
  report(load, samples);
}

/**
 * Stops processes meanwhile (SIGSTOP). A node without load computes the SHA-1s of all files that came: what the nodes that are
 * measured have to do, it would do beside them, and beyond their limit.
 */
async function whileStopped<Result>(nodes: Target[], action: () => Promise<Result>): Promise<Result> {
  for (const { pid } of nodes) process.kill(pid, 'SIGSTOP');
  try {
    return await action();
  } finally {
    for (const { pid } of nodes) process.kill(pid, 'SIGCONT');
    // Its heart beats again.
    for (const { url } of nodes) await fetch(new URL('/readyz', url));
  }
}

interface Grounds {
  postgres: RunningPostgres;
  rgw: RunningRgw;
  folder: string;
}

/** Starts all nodes, warms them up, and then limits each of them. */
async function withHeldNodes(
  { postgres, rgw, folder }: Grounds,
  load: Load,
  use: (nodes: Target[]) => Promise<void>,
): Promise<void> {
  const database = await createDatabaseOf(postgres.port);
  const env = { STORE: 'ceph', ...bucketEnv(rgw, rgw.port), DATABASE_URL: database.url };
  const nodes: Target[] = [];
  const limits: ReturnType<typeof createCpuLimit>[] = [];
  try {
    for (let number = 1; number <= Math.max(...COUNTS); number++) {
      nodes.push(await startTidemark(folder, env, `node ${number}`));
    }
    await inParallel(Math.ceil(WARM_FILES * share) * nodes.length, 16, (i) => sendFileAtOnce(deal(nodes, i)[0], SMALL));
    if (load.sizeBytes > SMALL) await inParallel(WARM_LARGE_FILES * nodes.length, 4, (i) => load.send(deal(nodes, i)));
    for (const [index, { pid }] of nodes.entries()) {
      const limit = createCpuLimit(String(index), LIMIT);
      limits.push(limit);
      limit.add(pid);
    }
    await use(nodes);
  } catch (error) {
    // A node's log says why it refused something.
    for (const node of nodes) process.stderr.write(`${node.name}:\n${node.output?.().slice(-4_000)}\n`);
    throw error;
  } finally {
    for (const limit of limits) limit.remove();
    for (const node of nodes) await node.stop();
    await database.drop();
  }
}

/** Distributes files in turns, like a balancer without stickiness, so that all nodes have the same load. */
function deal(nodes: Target[], index: number): Turn {
  return [nodes[index % nodes.length] as Target, nodes[(index + 1) % nodes.length] as Target];
}

async function measure(load: Load, nodes: Target[]): Promise<Sample> {
  const files = Math.ceil(load.files * share) * nodes.length;
  const before = { cpu: nodes.map(({ pid }) => cpuSeconds(pid)), idle: idleSeconds(), at: performance.now() };
  await inParallel(files, load.atOnce * nodes.length, (index) => load.send(deal(nodes, index)));
  const seconds = (performance.now() - before.at) / 1000;
  return {
    seconds,
    files,
    cpu: nodes.map(({ pid }, index) => cpuSeconds(pid) - (before.cpu[index] ?? NaN)),
    idle: (idleSeconds() - before.idle) / cpus().length / seconds,
  };
}

function report({ name, sizeBytes }: Load, samples: Map<number, Sample[]>): void {
  const inMib = sizeBytes >= MIB;
  const speedOf = ({ files, seconds }: Sample): number => (files * (inMib ? sizeBytes / MIB : 1)) / seconds;
  const one = samples.get(1) ?? [];
  const rows = [...samples].map(([count, list]) => {
    const speeds = list.map(speedOf);
    const ratio = median(list.map((sample, round) => speedOf(sample) / speedOf(one[round] as Sample)));
    const busy = list.flatMap(({ cpu, seconds }) => cpu.map((used) => used / seconds));
    const perFile = median(list.map(({ cpu, files }) => cpu.reduce((sum, used) => sum + used, 0) / files));
    return [
      String(count),
      `${median(speeds).toFixed(1)} (${Math.min(...speeds).toFixed(1)}-${Math.max(...speeds).toFixed(1)})`,
      ratio.toFixed(2),
      (TO_REACH * count).toFixed(2),
      inMib ? ((perFile / sizeBytes) * 1024 ** 3).toFixed(2) : (perFile * 1000).toFixed(2),
      `${Math.min(...busy).toFixed(2)}-${Math.max(...busy).toFixed(2)}`,
      `${(100 * median(list.map(({ idle }) => idle))).toFixed(0)} %`,
    ];
  });
  process.stdout.write(`### Nodes of ${LIMIT} processors: ${name}\n\n`);
  printTable(
    [
      'nodes',
      inMib ? 'MiB/s (min-max)' : 'files/s (min-max)',
      'x one node',
      'to reach',
      inMib ? 'CPU s/GiB' : 'CPU ms/file',
      'processors of a node (min-max)',
      'machine idle',
    ],
    rows,
  );
  process.stdout.write('\n');
}

/** Compares small files on one node without a limit, with the catalog in SQLite and in PostgreSQL; both sync commits. */
async function compareCatalogs(folder: string): Promise<void> {
  process.stdout.write(`${describeSmallFilesClient()}\n\n`);
  const workloads = ([1, 2] as const).map((requests) => {
    const load = smallFiles(requests, Math.ceil(4_000 * share));
    return { ...load, name: `One node, SQLite and PostgreSQL: ${load.name}` };
  });
  await withPostgres(async (postgres) => {
    await compare(workloads, {
      folder,
      targets: [(place) => startTidemark(place), startOnPostgres(postgres)],
    });
  });
}

/** Makes a start of the service with a new database. */
function startOnPostgres({ port }: RunningPostgres): StartTarget {
  return async (folder) => {
    const database = await createDatabaseOf(port);
    const target = await startTidemark(folder, { DATABASE_URL: database.url }, 'tidemark on PostgreSQL');
    return {
      ...target,
      stop: async () => {
        await target.stop();
        await database.drop();
      },
    };
  };
}

/** Starts a PostgreSQL whose commits are synced, and stops it afterwards. */
export async function withPostgres(use: (postgres: RunningPostgres) => Promise<void>): Promise<void> {
  // A folder of its own: PostgreSQL's user may not enter that of the other parts.
  const folder = await mkdtemp(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tidemark-pg-'));
  const postgres = await startPostgres({ folder, isDurable: true });
  try {
    await use(postgres);
  } finally {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
