/** Measures several servers under the same load, in turn, round by round: medians, and the ratio within each round. */
import { setTimeout as wait } from 'node:timers/promises';
import { cpuSeconds, peakMemoryMib, writtenMib } from './processes.ts';
import type { Timing } from './small-files.ts';
import { median, printTable } from './table.ts';
import { type StartTarget, type Target, TIDEMARK } from './targets.ts';

const MIB = 1024 * 1024;
/** The time limit of a measurement: a server that takes longer counts as one that never ends. */
const LONGEST_MS = 120_000;

/** One load. */
export interface Workload {
  name: string;
  bytes: number;
  /** Reports files per second instead of MiB/s. */
  files?: number;
  /** Whether to report the peak memory, of processes that are given this load alone. */
  hasMemory?: boolean;
  /** Warms the server up with a similar load: the first requests compile its code, and are not measured. */
  warmUp(target: Target): Promise<unknown>;
  /** @returns its time, where the load's program knows it better than the one that waits for it. */
  run(target: Target): Promise<Timing | void>;
}

/** One measurement. */
export interface Sample extends Timing {
  cpuSeconds: number;
  writtenMib: number;
}

/** What was measured of one server, round by round. */
export interface Measured {
  samples: Sample[];
  memoryMib?: number;
}

/** What is compared, and how. */
export interface Comparison {
  folder: string;
  targets: StartTarget[];
  /** Whether to report how much each process wrote to the local disk. */
  disk?: boolean;
}

/** Runs the comparison, and prints its tables. @returns for each workload that ran, what was measured of each server. */
export async function compare(
  workloads: Workload[],
  comparison: Comparison,
): Promise<Map<Workload, Map<string, Measured>>> {
  const only = process.env['BENCH_ONLY'] ?? '';
  const results = new Map<Workload, Map<string, Measured>>();
  for (const workload of workloads.filter(({ name }) => name.includes(only))) {
    const measured = await measureInTurns(workload, comparison);
    results.set(workload, measured);
    report(workload, measured, comparison.disk ?? false);
  }
  return results;
}

async function measureInTurns(workload: Workload, { folder, targets }: Comparison): Promise<Map<string, Measured>> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  const measured = new Map<string, Measured>();
  for (let round = 0; round < rounds; round++) {
    // The order changes each round: what a server leaves behind (caches, pending writes) then affects another one each time.
    for (const start of round % 2 === 0 ? targets : targets.toReversed()) {
      await withTarget(start, folder, async (target) => {
        await workload.warmUp(target);
        const samples = [...(measured.get(target.name)?.samples ?? []), await measure(workload, target)];
        measured.set(target.name, { samples });
      });
    }
  }
  if (!workload.hasMemory) return measured;
  for (const start of targets) {
    await withTarget(start, folder, async (target) => {
      await measure(workload, target);
      const samples = measured.get(target.name)?.samples ?? [];
      measured.set(target.name, { samples, memoryMib: peakMemoryMib(target.pid) });
    });
  }
  return measured;
}

async function withTarget(start: StartTarget, folder: string, use: (target: Target) => Promise<void>): Promise<void> {
  const target = await start(folder);
  try {
    await use(target);
  } catch (error) {
    // A server's log says why it refused something.
    process.stderr.write(`${target.name}:\n${target.output?.().slice(-4_000) ?? '(no log)'}\n`);
    throw error;
  } finally {
    await target.stop();
  }
}

async function measure(workload: Workload, target: Target): Promise<Sample> {
  const cpuBefore = cpuSeconds(target.pid);
  const writtenBefore = writtenMib(target.pid);
  const startedAt = performance.now();
  const running = workload.run(target).then((timing) => timing ?? { seconds: (performance.now() - startedAt) / 1000 });
  const late = new AbortController();
  const timing = await Promise.race([
    running,
    wait(LONGEST_MS, { seconds: Infinity }, { signal: late.signal }).catch(() => ({ seconds: Infinity })),
  ]);
  late.abort();
  // The server is stopped next, which ends all requests that still wait.
  running.catch(() => undefined);
  return {
    ...timing,
    cpuSeconds: cpuSeconds(target.pid) - cpuBefore,
    writtenMib: writtenMib(target.pid) - writtenBefore,
  };
}

/** Median and extremes of its speed, in files/s or MiB/s. */
function describeSpeed(workload: Workload, samples: Sample[]): string {
  const speeds = samples.map(({ seconds }) => (workload.files ?? workload.bytes / MIB) / seconds);
  return `${median(speeds).toFixed(0)} (${Math.min(...speeds).toFixed(0)}-${Math.max(...speeds).toFixed(0)})`;
}

/** How many times as fast as the other one a server is: the median of the ratios within each round. */
export function speedRatio(server: Measured | undefined, other: Measured | undefined): number {
  if (!server || !other) return NaN;
  return median(other.samples.map(({ seconds }, round) => seconds / (server.samples[round]?.seconds ?? NaN)));
}

/** Median CPU of a server, in ms for each file, or seconds for each GiB. */
export function cpuCost(workload: Workload, { samples }: Measured): number {
  const seconds = median(samples.map((sample) => sample.cpuSeconds));
  return workload.files ? (seconds * 1000) / workload.files : seconds / (workload.bytes / (1024 * MIB));
}

function report(workload: Workload, measured: Map<string, Measured>, disk: boolean): void {
  const hasLatency = [...measured.values()].some(({ samples }) => samples.some(({ p50Ms }) => p50Ms !== undefined));
  const rows = [...measured].map(([name, server]) => {
    const ratio = speedRatio(measured.get(TIDEMARK), server);
    const medianOf = (value: (sample: Sample) => number): number => median(server.samples.map(value));
    return [
      name,
      describeSpeed(workload, server.samples),
      Number.isFinite(ratio) ? ratio.toFixed(2) : `did not end in ${LONGEST_MS / 1000} s`,
      cpuCost(workload, server).toFixed(2),
      ...(hasLatency
        ? [medianOf(({ p50Ms = NaN }) => p50Ms).toFixed(1), medianOf(({ p99Ms = NaN }) => p99Ms).toFixed(1)]
        : []),
      ...(workload.hasMemory ? [(server.memoryMib ?? NaN).toFixed(0)] : []),
      ...(disk ? [medianOf((sample) => sample.writtenMib).toFixed(1)] : []),
    ];
  });
  process.stdout.write(`### ${workload.name}\n\n`);
  printTable(
    [
      'server',
      workload.files ? 'files/s (min-max)' : 'MiB/s (min-max)',
      'tidemark is x times as fast',
      workload.files ? 'CPU ms/file' : 'CPU s/GiB',
      ...(hasLatency ? ['p50 ms', 'p99 ms'] : []),
      ...(workload.hasMemory ? ['peak MiB'] : []),
      ...(disk ? ['MiB written to disk'] : []),
    ],
    rows,
  );
  process.stdout.write('\n');
}
