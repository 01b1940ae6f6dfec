/** Measures several servers under the same load, in turn, round by round: medians, and the ratio within each round. */
import { setTimeout as wait } from 'node:timers/promises';
import { median, printTable } from './table.ts';
import { cpuSeconds, forgetPeakMemory, peakMemoryMib, type StartTarget, type Target, writtenMib } from './targets.ts';

const MIB = 1024 * 1024;
/** The time limit of a measurement: a server that takes longer counts as one that never ends. */
const LONGEST_MS = 120_000;

/** One load. */
export interface Workload {
  name: string;
  bytes: number;
  /** Reports files per second instead of MiB/s. */
  files?: number;
  run(target: Target): Promise<void>;
}

interface Sample {
  seconds: number;
  cpu: number;
  memory: number;
  written: number;
}

/** What is compared, and how. */
export interface Comparison {
  folder: string;
  targets: StartTarget[];
  /** Warms the server up with a similar load: the first requests compile its code, and are not measured. */
  warmUp(target: Target): Promise<unknown>;
  /** Whether to report how much each process wrote to the local disk. */
  disk?: boolean;
}

/** Runs the comparison, and prints its tables. */
export async function compare(workloads: Workload[], comparison: Comparison): Promise<void> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  const only = process.env['BENCH_ONLY'] ?? '';
  for (const workload of workloads.filter(({ name }) => name.includes(only))) {
    const samples = new Map<string, Sample[]>();
    for (let round = 0; round < rounds; round++) {
      // The order changes each round: what a server leaves behind (caches, pending writes) then affects another one each time.
      for (const start of round % 2 === 0 ? comparison.targets : comparison.targets.toReversed()) {
        const target = await start(comparison.folder);
        try {
          await comparison.warmUp(target);
          forgetPeakMemory(target.pid);
          const sample = await measure(workload, target);
          samples.set(target.name, [...(samples.get(target.name) ?? []), sample]);
        } finally {
          await target.stop();
        }
      }
    }
    report(workload, samples, comparison.disk ?? false);
  }
}

async function measure(workload: Workload, target: Target): Promise<Sample> {
  const cpuBefore = cpuSeconds(target.pid);
  const writtenBefore = writtenMib(target.pid);
  const startedAt = performance.now();
  const running = workload.run(target);
  const late = new AbortController();
  const ended = await Promise.race([
    running.then(() => true),
    wait(LONGEST_MS, false, { signal: late.signal }).catch(() => false),
  ]);
  late.abort();
  // The server is stopped next, which ends all requests that still wait.
  running.catch(() => undefined);
  return {
    seconds: ended ? (performance.now() - startedAt) / 1000 : Infinity,
    cpu: cpuSeconds(target.pid) - cpuBefore,
    memory: peakMemoryMib(target.pid),
    written: writtenMib(target.pid) - writtenBefore,
  };
}

function report(workload: Workload, samples: Map<string, Sample[]>, disk: boolean): void {
  const ours = samples.get('tidemark') ?? [];
  const rows = [...samples].map(([name, list]) => {
    const speed = list.map(({ seconds }) => (workload.files ?? workload.bytes / MIB) / seconds);
    const ratio = median(list.map(({ seconds }, round) => seconds / (ours[round]?.seconds ?? NaN)));
    const cpu = median(list.map((sample) => sample.cpu));
    return [
      name,
      `${median(speed).toFixed(0)} (${Math.min(...speed).toFixed(0)}-${Math.max(...speed).toFixed(0)})`,
      Number.isFinite(ratio) ? ratio.toFixed(2) : `did not end in ${LONGEST_MS / 1000} s`,
      workload.files ? ((cpu * 1000) / workload.files).toFixed(2) : (cpu / (workload.bytes / 1024 ** 3)).toFixed(2),
      Math.max(...list.map((sample) => sample.memory)).toFixed(0),
      ...(disk ? [median(list.map((sample) => sample.written)).toFixed(1)] : []),
    ];
  });
  process.stdout.write(`### ${workload.name}\n\n`);
  printTable(
    [
      'server',
      workload.files ? 'files/s (min-max)' : 'MiB/s (min-max)',
      'tidemark is x times as fast',
      workload.files ? 'CPU ms/file' : 'CPU s/GiB',
      'peak MiB',
      ...(disk ? ['MiB written to disk'] : []),
    ],
    rows,
  );
  process.stdout.write('\n');
}
