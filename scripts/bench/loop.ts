/** Measures how long the service's main thread is held, under uploads, searches and background work, on SQLite. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { RunningService } from '../../test/harness/service.ts';
import { sendBigFiles } from './big-files.ts';
import type { LoopDelay } from './loop-recorder.ts';
import { ask, QUESTIONS } from './search.ts';
import { sendSmallFiles } from './small-files.ts';
import { FILES, withFilledService } from './sqlite-rows.ts';
import { printTable } from './table.ts';
import type { Target } from './targets.ts';

const MIB = 1024 * 1024;
const RECORDER = new URL('loop-recorder.js', import.meta.url).href;
/** Jobs in the background run once a minute, give or take. */
const LONGER_THAN_JOBS_REST_MS = 75_000;
const IDLE_MS = 3_000;

/** The load of searches alone. */
export const SEARCHES = 'searches and listings, one after the other';
/** The load in which each job of the background runs at least once. */
export const EVERYTHING = 'small files, searches, listings and all jobs';

/** A service whose loop is recorded. */
interface Recorded {
  service: RunningService;
  /** For the files that are sent. */
  folder: string;
  /** What was recorded since the last call. */
  read(): Promise<LoopDelay>;
}

/** Runs the measurement. @param counts - how many files the owner has. */
export async function benchLoop(folder: string, [files = FILES]: number[] = []): Promise<void> {
  await withRecordedService(folder, files, async (recorded) => {
    await measureLoop(recorded);
  });
}

/** Starts a service with so many files whose loop is recorded. */
export async function withRecordedService(
  folder: string,
  files: number,
  use: (recorded: Recorded) => Promise<void>,
): Promise<void> {
  const file = join(folder, 'loop.json');
  const env = { NODE_OPTIONS: `--import=${RECORDER}`, BENCH_LOOP_FILE: file };
  await withFilledService({ folder, files, env }, (service) =>
    use({
      service,
      folder,
      read: async () => {
        await rm(file, { force: true });
        process.kill(service.pid, 'SIGUSR2');
        for (;;) {
          const report = await readFile(file, 'utf8').catch(() => undefined);
          if (report !== undefined) return JSON.parse(report) as LoopDelay;
          await wait(5);
        }
      },
    }),
  );
}

/** Records the loop under each load, and prints the table. */
export async function measureLoop(recorded: Recorded): Promise<Map<string, LoopDelay>> {
  const target: Target = {
    name: 'tidemark',
    url: `${recorded.service.url}/uploads`,
    protocol: 'tus',
    pid: recorded.service.pid,
    stop: () => recorded.service.stop(),
  };
  const small = () => sendSmallFiles(target, { files: 4_000, sizeBytes: 10 * 1024, requests: 1 });
  // The code is compiled first.
  await Promise.all([small(), askAll(recorded.service)]);
  const loads: Record<string, () => Promise<unknown>> = {
    nothing: () => wait(IDLE_MS),
    [SEARCHES]: () => askAll(recorded.service),
    '4,000 small files': small,
    [EVERYTHING]: () => Promise.all([smallFor(LONGER_THAN_JOBS_REST_MS), askFor(LONGER_THAN_JOBS_REST_MS)]),
    '64 x 16 MiB at once, searches and listings': () =>
      Promise.all([
        sendBigFiles(recorded.folder, target, { files: 64, sizeBytes: 16 * MIB, atOnce: true }),
        askAll(recorded.service),
      ]),
  };

  async function smallFor(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until;) await small();
  }

  async function askFor(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until;) await askAll(recorded.service);
  }

  const results = new Map<string, LoopDelay>();
  for (const [name, run] of Object.entries(loads)) {
    await recorded.read();
    await run();
    results.set(name, await recorded.read());
  }
  printTable(
    ['load', 'delay: p50 ms', 'p99', 'max', 'on a processor: p99 ms', 'p99.9', 'max'],
    [...results].map(([name, { delay, busy }]) => [
      name,
      ...[delay.p50, delay.p99, delay.max, busy.p99, busy.p999, busy.max].map((ms) => ms.toFixed(2)),
    ]),
  );
  return results;
}

/** Asks every question once. */
async function askAll(service: RunningService): Promise<void> {
  for (const query of Object.values(QUESTIONS)) await ask(service, query);
}
