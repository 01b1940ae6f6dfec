/** Throughput, CPU and memory of several servers under the same load, in turn, round by round. */
import { inParallel, sendFile, sendFileAtOnce } from './load.ts';
import { median, printTable } from './table.ts';
import { cpuSeconds, listTargets, peakMemoryMib, type Target } from './targets.ts';

const MIB = 1024 * 1024;

interface Workload {
  name: string;
  bytes: number;
  /** Files per second are told instead of MiB/s. */
  files?: number;
  run(target: Target): Promise<void>;
}

const WORKLOADS: Workload[] = [
  {
    name: '1 GiB in one stream',
    bytes: 1024 * MIB,
    run: async (target) => {
      await sendFile(target, 1024 * MIB);
    },
  },
  {
    name: '64 x 16 MiB at once',
    bytes: 1024 * MIB,
    run: (target) => inParallel(64, 64, () => sendFile(target, 16 * MIB)),
  },
  {
    name: '2,000 x 10 KiB, 16 at once, POST and PATCH',
    bytes: 2000 * 10 * 1024,
    files: 2000,
    run: (target) => inParallel(2000, 16, () => sendFile(target, 10 * 1024)),
  },
  {
    name: '2,000 x 10 KiB, 16 at once, one request each',
    bytes: 2000 * 10 * 1024,
    files: 2000,
    run: (target) => inParallel(2000, 16, () => sendFileAtOnce(target, 10 * 1024)),
  },
];

interface Sample {
  seconds: number;
  cpu: number;
  memory: number;
}

/** Each workload: every server once per round, in turn; medians, and the ratio within each round. */
export async function benchSideBySide(folder: string): Promise<void> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  for (const workload of WORKLOADS) {
    const samples = new Map<string, Sample[]>();
    for (let round = 0; round < rounds; round++) {
      for (const start of listTargets()) {
        const target = await start(folder);
        try {
          // The first requests compile the server's code: what is measured is a server that runs.
          await inParallel(50, 5, () => sendFile(target, 4096));
          const sample = await measure(workload, target);
          samples.set(target.name, [...(samples.get(target.name) ?? []), sample]);
        } finally {
          await target.stop();
        }
      }
    }
    report(workload, samples);
  }
}

async function measure(workload: Workload, target: Target): Promise<Sample> {
  const cpuBefore = cpuSeconds(target.pid);
  const startedAt = performance.now();
  await workload.run(target);
  return {
    seconds: (performance.now() - startedAt) / 1000,
    cpu: cpuSeconds(target.pid) - cpuBefore,
    memory: peakMemoryMib(target.pid),
  };
}

function report(workload: Workload, samples: Map<string, Sample[]>): void {
  const ours = samples.get('tidemark') ?? [];
  const rows = [...samples].map(([name, list]) => {
    const speed = list.map(({ seconds }) => (workload.files ?? workload.bytes / MIB) / seconds);
    const ratio = median(list.map(({ seconds }, round) => seconds / (ours[round]?.seconds ?? NaN)));
    const cpu = median(list.map((sample) => sample.cpu));
    return [
      name,
      `${median(speed).toFixed(0)} (${Math.min(...speed).toFixed(0)}-${Math.max(...speed).toFixed(0)})`,
      ratio.toFixed(2),
      workload.files ? ((cpu * 1000) / workload.files).toFixed(2) : (cpu / (workload.bytes / 1024 ** 3)).toFixed(2),
      Math.max(...list.map((sample) => sample.memory)).toFixed(0),
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
    ],
    rows,
  );
  process.stdout.write('\n');
}
