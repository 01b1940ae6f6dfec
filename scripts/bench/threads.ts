/** Measures which threads of the service take the CPU under each load: its main thread, the digest's, Node's pool, V8's. */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CEPH_MISSING } from '../../test/harness/rgw.ts';
import { listBucketLoads, withRgw } from './bucket.ts';
import type { Workload } from './compare.ts';
import { listBigFiles, smallFiles } from './side-by-side.ts';
import { median, printTable } from './table.ts';
import { bucketEnv, startTidemark } from './targets.ts';

const NS = 1e9;
const GIB = 1024 ** 3;

/**
 * Loaded into the service before its first line, in each thread of it that runs JavaScript: notes which thread that is, of
 * workers what they are given (stores/digests/thread.ts: `WorkerSetup`), as they have no names before Node 24. All that
 * are there besides when the main thread begins are V8's; Node starts its pool with the first call of the file system that
 * does not block. CommonJS, since modules are loaded with such calls.
 */
const RECORDER = `
const { appendFileSync, readdirSync, readlinkSync } = require('node:fs');
const { isMainThread, workerData } = require('node:worker_threads');
const note = (id, name) => appendFileSync(process.env.BENCH_THREADS_FILE, id + ' ' + name + '\\n');
const own = readlinkSync('/proc/thread-self').split('/').at(-1);
note(own, isMainThread ? 'main' : Object.keys(workerData ?? {}).join());
if (isMainThread) for (const id of readdirSync('/proc/self/task')) if (id !== own) note(id, 'V8');
`;

/** What takes the CPU, in the order of the table. */
const KINDS = ['main', 'digests', 'other threads', 'pool', 'V8'] as const;
type Kind = (typeof KINDS)[number];

/** Runs the measurement. */
export async function benchThreads(folder: string): Promise<void> {
  const rows: string[][] = [];
  const { stream, crowd } = listBigFiles(folder);
  for (const workload of [smallFiles(1), smallFiles(2), stream, crowd].filter(isWanted)) {
    rows.push(await measureThreads(folder, workload, {}));
  }
  if (CEPH_MISSING === undefined) {
    for (const workload of Object.values(listBucketLoads(folder)).filter(isWanted)) {
      await withRgw(async (rgw) => {
        rows.push(await measureThreads(folder, workload, { STORE: 'ceph', ...bucketEnv(rgw, rgw.port) }));
      });
    }
  } else process.stdout.write(`skipped, buckets: ${CEPH_MISSING}\n\n`);
  printTable(['load', 'unit', ...KINDS, 'all'], rows);
}

const isWanted = ({ name }: Workload): boolean => name.includes(process.env['BENCH_ONLY'] ?? '');

/** @returns a row of the table: medians of the rounds, each with a service of its own. */
async function measureThreads(folder: string, workload: Workload, env: NodeJS.ProcessEnv): Promise<string[]> {
  const recorder = join(folder, 'thread-recorder.cjs');
  const file = join(folder, 'threads');
  await writeFile(recorder, RECORDER);
  const rounds: Map<Kind, number>[] = [];
  for (let round = 0; round < Number(process.env['BENCH_ROUNDS'] ?? 3); round++) {
    await writeFile(file, '');
    const target = await startTidemark(folder, {
      ...env,
      NODE_OPTIONS: `--require=${recorder}`,
      BENCH_THREADS_FILE: file,
    });
    try {
      await workload.warmUp(target);
      const before = threadSeconds(target.pid);
      await workload.run(target);
      rounds.push(byKind(threadSeconds(target.pid), before, namesIn(file)));
    } finally {
      await target.stop();
    }
  }
  const scale = workload.files ? 1000 / workload.files : GIB / workload.bytes;
  const medians = KINDS.map((kind) => median(rounds.map((seconds) => seconds.get(kind) ?? 0)) * scale);
  const all = median(rounds.map((seconds) => [...seconds.values()].reduce((sum, each) => sum + each, 0))) * scale;
  return [workload.name, workload.files ? 'ms/file' : 's/GiB', ...[...medians, all].map((value) => value.toFixed(2))];
}

/** Seconds that each thread of a process was on a processor (Linux: Documentation/scheduler/sched-stats). */
function threadSeconds(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const [ns] = readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ');
    seconds.set(id, Number(ns) / NS);
  }
  return seconds;
}

/** What the recorder noted: names of threads, by their ids. */
function namesIn(file: string): Map<string, string> {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

function byKind(
  after: Map<string, number>,
  before: Map<string, number>,
  names: Map<string, string>,
): Map<Kind, number> {
  const sums = new Map<Kind, number>();
  for (const [id, seconds] of after) {
    const kind = kindOf(names.get(id));
    sums.set(kind, (sums.get(kind) ?? 0) + seconds - (before.get(id) ?? 0));
  }
  return sums;
}

function kindOf(name: string | undefined): Kind {
  if (name === undefined) return 'pool';
  if (name === 'main' || name === 'V8') return name;
  return name.split(',').includes('proof') ? 'digests' : 'other threads';
}
