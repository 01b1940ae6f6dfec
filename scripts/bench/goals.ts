/** Prints one table of what is to be reached and what is: everything in one run, in less than twelve minutes at rest. */
import { CEPH_MISSING } from '../../test/harness/rgw.ts';
import { describeBigFilesClient } from './big-files.ts';
import { LIB_STORAGE, listBucketLoads, listBucketRivals, withRgw } from './bucket.ts';
import { compare, cpuCost, type Measured, speedRatio, type Workload } from './compare.ts';
import { growth, measureLastByte, withBucketTidemark, withTidemark } from './last-byte.ts';
import { EVERYTHING, measureLoop, SEARCHES, withRecordedService } from './loop.ts';
import { IN_NONE, measureSearch } from './search.ts';
import { listBigFiles, smallFiles } from './side-by-side.ts';
import { describeSmallFilesClient } from './small-files.ts';
import { FILES } from './sqlite-rows.ts';
import { median, printTable } from './table.ts';
import {
  listBuilds,
  listTusd,
  PLAIN,
  SINK,
  type StartTarget,
  startPlain,
  startSink,
  TIDEMARK,
  TUSD,
  TUSD_S3,
} from './targets.ts';

/** A figure of the table. */
interface Goal {
  name: string;
  value: number;
  unit: string;
  /** At least, where more is better; else at most. */
  toReach: number;
  isLeast: boolean;
}

/** A figure that is to be at least so large. */
const atLeast = (name: string, value: number, unit: string, toReach: number): Goal => ({
  name,
  value,
  unit,
  toReach,
  isLeast: true,
});
/** A figure that is to be at most so large. */
const atMost = (...args: Parameters<typeof atLeast>): Goal => ({ ...atLeast(...args), isLeast: false });

/** Runs everything, and prints the tables of the parts and then that of the goals. @param counts - how many files the searched owner has. */
export async function benchGoals(folder: string, [files = FILES]: number[] = []): Promise<void> {
  const startedAt = performance.now();
  process.stdout.write(`${describeSmallFilesClient()}; ${describeBigFilesClient()}\n\n`);
  const goals = [
    ...(await measureSmallFiles(folder)),
    ...(await measureBigFiles(folder)),
    ...(await measureBucket(folder)),
    ...(await measureNames(folder, files)),
    ...(await measureDuplicates(folder)),
  ];
  process.stdout.write('### To reach\n\n');
  printTable(
    ['figure', 'is', 'to reach', 'reached'],
    goals.map(({ name, value, unit, toReach, isLeast }) => {
      const isReached = isLeast ? value >= toReach : value <= toReach;
      const shown = Number.isNaN(value) ? 'not measured' : `${value.toFixed(2)} ${unit}`;
      const verdict = Number.isNaN(value) ? '' : isReached ? 'yes' : 'no';
      return [name, shown, `${isLeast ? 'at least' : 'at most'} ${toReach} ${unit}`, verdict];
    }),
  );
  process.stdout.write(`\n${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes\n`);
}

/** What was measured of one load; all NaN where BENCH_ONLY left it out. */
interface Outcome {
  /** How many times as fast as another server this one is. */
  of(name: string): number;
  cpu: number;
  memoryMib: number;
}

async function measure(folder: string, workload: Workload, targets: StartTarget[], disk = false): Promise<Outcome> {
  const results = await compare([workload], { folder, targets, disk });
  const servers = results.get(workload) ?? new Map<string, Measured>();
  const ours = servers.get(TIDEMARK);
  return {
    of: (name) => speedRatio(ours, servers.get(name)),
    cpu: ours ? cpuCost(workload, ours) : NaN,
    memoryMib: ours?.memoryMib ?? NaN,
  };
}

async function measureSmallFiles(folder: string): Promise<Goal[]> {
  const one = await measure(folder, smallFiles(1), [...listBuilds(), startPlain, ...listTusd()]);
  const two = await measure(folder, smallFiles(2), [...listBuilds(), startPlain]);
  return [
    atLeast('10 KiB, one request: of plain @tus/server', one.of(PLAIN), 'x', 1.2),
    atLeast('10 KiB, one request: of tusd', one.of(TUSD), 'x', 0.6),
    atMost('10 KiB, one request: CPU of a file', one.cpu, 'ms', 0.7),
    atLeast('10 KiB by POST and PATCH: of plain @tus/server', two.of(PLAIN), 'x', 1.1),
  ];
}

async function measureBigFiles(folder: string): Promise<Goal[]> {
  const { crowd, stream } = listBigFiles(folder);
  const targets = [...listBuilds(), startSink, ...listTusd()];
  const many = await measure(folder, crowd, targets);
  const one = await measure(folder, stream, targets);
  return [
    atLeast('64 x 16 MiB on the disk: of the bare sink', many.of(SINK), 'x', 0.75),
    atMost('64 x 16 MiB on the disk: CPU', many.cpu, 's/GiB', 3),
    atMost('64 x 16 MiB on the disk: peak of memory', many.memoryMib, 'MiB', 150),
    atLeast('1 GiB in one stream: of the bare sink', one.of(SINK), 'x', 0.95),
    atMost('1 GiB in one stream: CPU', one.cpu, 's/GiB', 3.05),
  ];
}

async function measureBucket(folder: string): Promise<Goal[]> {
  const none: Outcome = { of: () => NaN, cpu: NaN, memoryMib: NaN };
  const run = async (workload: Workload): Promise<Outcome> => {
    if (CEPH_MISSING !== undefined) return none;
    let outcome = none;
    // A new Ceph for each workload: its disk holds about 16 GiB.
    await withRgw(async (rgw) => {
      outcome = await measure(folder, { ...workload, hasMemory: false }, listBucketRivals(rgw), true);
    });
    return outcome;
  };
  if (CEPH_MISSING !== undefined) process.stdout.write(`skipped, buckets: ${CEPH_MISSING}\n\n`);
  const loads = listBucketLoads(folder);
  const [stream, crowd, single] = [await run(loads.stream), await run(loads.crowd), await run(loads.single)];
  return [
    atLeast('Ceph, 1 GiB: of lib-storage', stream.of(LIB_STORAGE), 'x', 0.95),
    atLeast('Ceph, 1 GiB: of tusd', stream.of(TUSD_S3), 'x', 1),
    atLeast('Ceph, 64 x 16 MiB: of lib-storage', crowd.of(LIB_STORAGE), 'x', 0.85),
    atLeast('Ceph, 1 MiB, one after the other: of lib-storage', single.of(LIB_STORAGE), 'x', 0.9),
  ];
}

async function measureNames(folder: string, files: number): Promise<Goal[]> {
  let goals: Goal[] = [];
  await withRecordedService(folder, files, async (recorded) => {
    const asked = await measureSearch(recorded.service, [IN_NONE]);
    process.stdout.write('\n');
    const loop = await measureLoop(recorded);
    process.stdout.write('\n');
    goals = [
      atMost(
        `search among ${files.toLocaleString('en')} names, in none`,
        median(asked.get(IN_NONE)?.timesMs ?? []),
        'ms',
        5,
      ),
      atMost('loop held by searches', loop.get(SEARCHES)?.delay.max ?? NaN, 'ms', 10),
      atMost('loop held by small files, searches and jobs', loop.get(EVERYTHING)?.delay.max ?? NaN, 'ms', 10),
    ];
  });
  return goals;
}

async function measureDuplicates(folder: string): Promise<Goal[]> {
  const growths: number[] = [];
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  await withTidemark(folder, {}, async (target) => {
    growths.push(growth(await measureLastByte(target, ['duplicate'], rounds), 'duplicate'));
  });
  if (CEPH_MISSING === undefined) {
    await withBucketTidemark(folder, async (target) => {
      growths.push(growth(await measureLastByte(target, ['duplicate'], rounds), 'duplicate'));
    });
  }
  const [onDisk = NaN, inBucket = NaN] = growths;
  return [
    atMost('last byte to complete, duplicate of 1 GiB of that of 1 MiB, on the disk', onDisk, 'x', 1.5),
    atMost('last byte to complete, duplicate of 1 GiB of that of 1 MiB, in a bucket', inBucket, 'x', 1.5),
  ];
}
