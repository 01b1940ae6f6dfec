/** Measures small files on one machine with one worker and with two (`WORKERS`), on one PostgreSQL and one Ceph. */
import { cpus } from 'node:os';
import { POSTGRES_MISSING } from '../../test/harness/postgres.ts';
import { CEPH_MISSING } from '../../test/harness/rgw.ts';
import { createDatabaseOf } from '../../test/harness/shared-postgres.ts';
import { withRgw } from './bucket.ts';
import { createCpuLimit, whyNoCpuLimit } from './cpu-limit.ts';
import { withPostgres } from './nodes.ts';
import { childrenOf, cpuSeconds, idleSeconds } from './processes.ts';
import { describeSmallFilesClient, sendSmallFiles, type Timing } from './small-files.ts';
import { median, printTable } from './table.ts';
import { bucketEnv, startTidemark, type Target } from './targets.ts';

const COUNTS = [1, 2] as const;
const SMALL = 10 * 1024;
/** The processors of each worker, where they are held: without that, the machine may be the limit, and not the workers. */
const LIMIT = Number(process.env['BENCH_NODE_CPUS'] ?? 0.25);
const share = Number(process.env['BENCH_SHARE'] ?? 1);
const WARM_FILES = Math.ceil(2_000 * share);
/** Each worker is warm after so much CPU. A connection goes to the worker that is there, so that the first ones may all have one. */
const WARM_CPU_SECONDS = 2 * share;
const FILES = Math.ceil(2_000 * share);
const HELD_FILES = Math.ceil(400 * share);

interface Workers {
  count: number;
  target: Target;
  /** The processes that receive files. */
  pids: number[];
}

interface Sample extends Timing {
  files: number;
  cpuSeconds: number;
  idleShare: number;
}

/** Runs the measurement. */
export async function benchWorkers(folder: string): Promise<void> {
  const missing = POSTGRES_MISSING ?? CEPH_MISSING;
  if (missing !== undefined) {
    process.stdout.write(`skipped: ${missing}\n`);
    return;
  }
  process.stdout.write(`${describeSmallFilesClient()}\n\n`);
  await withWorkers(folder, async (services) => {
    report('Not held', await measureInTurns(services, () => FILES));
    const noLimit = whyNoCpuLimit();
    if (noLimit !== undefined) {
      process.stdout.write(`skipped, held workers: ${noLimit}\n`);
      return;
    }
    await whileHeld(services, async () => {
      const samples = await measureInTurns(services, (count) => HELD_FILES * count);
      report(`Each worker held to ${LIMIT} processors`, samples);
    });
  });
}

/** Starts a service for each number of workers, each with a database and a prefix of its own, and warms them up. */
async function withWorkers(folder: string, use: (services: Workers[]) => Promise<void>): Promise<void> {
  await withPostgres((postgres) =>
    withRgw(async (rgw) => {
      const services: Workers[] = [];
      try {
        for (const count of COUNTS) {
          const { url } = await createDatabaseOf(postgres.port);
          const place = { ...bucketEnv(rgw, rgw.port), S3_PREFIX: `workers-${count}/`, DATABASE_URL: url };
          const target = await startTidemark(folder, { STORE: 'ceph', ...place, WORKERS: String(count) }, `${count}`);
          const children = childrenOf(target.pid);
          services.push({ count, target, pids: children.length > 0 ? children : [target.pid] });
        }
        for (const service of services) await warmUp(service);
        await use(services);
      } finally {
        for (const { target } of services) await target.stop();
      }
    }),
  );
}

async function warmUp({ target, pids }: Workers): Promise<void> {
  const coldest = (): number => Math.min(...pids.map(cpuSeconds));
  do {
    await sendSmallFiles(target, { files: WARM_FILES, sizeBytes: SMALL, requests: 1 });
  } while (coldest() < WARM_CPU_SECONDS);
}

async function whileHeld(services: Workers[], use: () => Promise<void>): Promise<void> {
  const limits: ReturnType<typeof createCpuLimit>[] = [];
  try {
    for (const pid of services.flatMap(({ pids }) => pids)) {
      const limit = createCpuLimit(`worker-${pid}`, LIMIT);
      limits.push(limit);
      limit.add(pid);
    }
    await use();
  } finally {
    for (const limit of limits) limit.remove();
  }
}

async function measureInTurns(services: Workers[], filesOf: (count: number) => number): Promise<Map<number, Sample[]>> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  const samples = new Map<number, Sample[]>(COUNTS.map((count) => [count, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { count, target } of round % 2 === 0 ? services : services.toReversed()) {
      const files = filesOf(count);
      const before = { cpu: cpuSeconds(target.pid), idle: idleSeconds(), at: performance.now() };
      const timing = await sendSmallFiles(target, { files, sizeBytes: SMALL, requests: 1 });
      samples.get(count)?.push({
        ...timing,
        files,
        cpuSeconds: cpuSeconds(target.pid) - before.cpu,
        idleShare: ((idleSeconds() - before.idle) * 1000) / cpus().length / (performance.now() - before.at),
      });
    }
  }
  return samples;
}

function report(title: string, samples: Map<number, Sample[]>): void {
  const speedOf = ({ files, seconds }: Sample): number => files / seconds;
  const ofOne = samples.get(1) ?? [];
  process.stdout.write(`### ${title}: files of 10 KiB, 16 at once, one request each\n\n`);
  printTable(
    ['workers', 'files/s (min-max)', 'x one worker', 'CPU ms/file', 'p50 ms', 'p99 ms', 'machine idle'],
    [...samples].map(([count, list]) => {
      const speeds = list.map(speedOf);
      return [
        String(count),
        `${median(speeds).toFixed(0)} (${Math.min(...speeds).toFixed(0)}-${Math.max(...speeds).toFixed(0)})`,
        median(list.map((sample, round) => speedOf(sample) / speedOf(ofOne[round] as Sample))).toFixed(2),
        median(list.map((sample) => (sample.cpuSeconds * 1000) / sample.files)).toFixed(2),
        median(list.map(({ p50Ms = NaN }) => p50Ms)).toFixed(1),
        median(list.map(({ p99Ms = NaN }) => p99Ms)).toFixed(1),
        `${(100 * median(list.map(({ idleShare }) => idleShare))).toFixed(0)} %`,
      ];
    }),
  );
  process.stdout.write('\n');
}
