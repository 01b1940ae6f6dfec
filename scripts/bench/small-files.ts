/** The load of many small files: from wrk where it is on the PATH, else from this process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inParallel, sendFile, sendFileAtOnce } from './load.ts';
import { quantile } from './table.ts';
import { findOnPath, type Target } from './targets.ts';

const CONNECTIONS = 16;
/** wrk counts an answer that takes longer as lost. */
const LONGEST_ANSWER_S = 10;
/** Compiled files are in dist/scripts/bench/; the script for wrk is where it is written. */
const SCRIPT = fileURLToPath(new URL('../../../scripts/bench/small-files.lua', import.meta.url));
const wrk = findOnPath('wrk');

/** What is sent. A server that takes PUT gets each file in one request in any case. */
export interface SmallFiles {
  files: number;
  sizeBytes: number;
  /** In one request (creation with upload), or in two (POST and PATCH). */
  requests: 1 | 2;
}

/** How long it took. */
export interface Timing {
  /** From the first request to the last answer. */
  seconds: number;
  /** Of the times from a request to its answer. */
  p50Ms?: number;
  p99Ms?: number;
}

/** Says which client small files come from. */
export function describeSmallFilesClient(): string {
  return wrk
    ? 'small files: from wrk'
    : "small files: from this process, since wrk is not on the PATH (Debian: wrk). It takes more CPU than some servers, so that differences between them look smaller than they are, and a file's time is that of both its requests";
}

/** Sends files over 16 persistent connections, all of them different. Every answer must be a success. */
export function sendSmallFiles(target: Target, load: SmallFiles): Promise<Timing> {
  return wrk ? sendFromWrk(wrk, target, load) : sendFromHere(target, load);
}

/** What small-files.lua prints at its end. */
interface Outcome {
  seconds: number | null;
  p50Ms: number;
  p99Ms: number;
  lost: number;
  refusal: string | null;
}

async function sendFromWrk(program: string, target: Target, load: SmallFiles): Promise<Timing> {
  const protocol = target.protocol === 'put' ? 'put' : load.requests === 1 ? 'post' : 'post-patch';
  const flags = ['-t1', `-c${CONNECTIONS}`, '-d600', '--timeout', String(LONGEST_ANSWER_S), '-s', SCRIPT];
  const args = [...flags, target.url, '--', String(load.files), String(load.sizeBytes), protocol];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let outcome: Outcome | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    // wrk ends at a moment, not after a number of requests: it is interrupted after the last one.
    if (line === 'sent' || line === 'refused') child.kill('SIGINT');
    if (line.startsWith('{')) outcome = JSON.parse(line) as Outcome;
  }
  await exited;
  if (!outcome) throw new Error(`wrk and ${target.name}: it ended without a result`);
  const { seconds, p50Ms, p99Ms, lost, refusal } = outcome;
  if (refusal !== null) throw new Error(`${target.name} refused a file: ${refusal}`);
  if (seconds === null || lost > 0) throw new Error(`${target.name}: ${lost} requests were lost`);
  return { seconds, p50Ms, p99Ms };
}

async function sendFromHere(target: Target, { files, sizeBytes, requests }: SmallFiles): Promise<Timing> {
  const send = requests === 1 ? sendFileAtOnce : sendFile;
  const timesMs: number[] = [];
  const startedAt = performance.now();
  await inParallel(files, CONNECTIONS, async () => {
    const sentAt = performance.now();
    await send(target, sizeBytes);
    timesMs.push(performance.now() - sentAt);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, p50Ms: quantile(timesMs, 0.5), p99Ms: quantile(timesMs, 0.99) };
}
