/**
 * Loaded into a service's process (`--import`): records how late the main thread's event loop is, and writes it to the file
 * BENCH_LOOP_FILE when it receives SIGUSR2. Each report begins where the one before ended. It begins to record with the first
 * signal, whose report is empty: until then its timer takes no time, and a service that has nothing to do is idle.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createHistogram } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const EVERY_MS = 1;
const NS_PER_MS = 1e6;
const PERCENTILES = [50, 99, 99.9] as const;

/** Of one period, in ms. */
export interface LoopDelay {
  /** How much later than it should a timer ran: the time in which the loop could not take up anything new. */
  delay: Summary;
  /** How long the main thread had a processor between two runs of the timer, without waiting for one. */
  busy: Summary;
}

interface Summary {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** Nanoseconds that the main thread was on a processor (Linux: Documentation/scheduler/sched-stats). */
function onCpuNs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);
}

function record(file: string): void {
  const histograms = { delay: createHistogram(), busy: createHistogram() };
  let last = performance.now();
  let lastCpuNs = onCpuNs();
  let timer: NodeJS.Timeout | undefined;
  const begin = (): NodeJS.Timeout =>
    setInterval(() => {
      const now = performance.now();
      const cpuNs = onCpuNs();
      histograms.delay.record(Math.max(1, Math.round((now - last - EVERY_MS) * NS_PER_MS)));
      histograms.busy.record(Math.max(1, cpuNs - lastCpuNs));
      [last, lastCpuNs] = [now, cpuNs];
    }, EVERY_MS).unref();

  process.on('SIGUSR2', () => {
    const summaries = Object.entries(histograms).map(([name, histogram]): [string, Summary] => {
      const [p50 = NaN, p99 = NaN, p999 = NaN] = PERCENTILES.map((share) => histogram.percentile(share) / NS_PER_MS);
      const summary = { p50, p99, p999, max: histogram.max / NS_PER_MS };
      histogram.reset();
      return [name, summary];
    });
    // Whole or not there.
    writeFileSync(`${file}.new`, JSON.stringify(Object.fromEntries(summaries)));
    renameSync(`${file}.new`, file);
    // Writing the report is not part of the next period.
    [last, lastCpuNs] = [performance.now(), onCpuNs()];
    timer ??= begin();
  });
}

const file = process.env['BENCH_LOOP_FILE'];
if (isMainThread && file) record(file);
