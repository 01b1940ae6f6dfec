/**
 * The parent of `WORKERS` processes that share one port (node:cluster): it starts them, restarts a worker that dies, and
 * stops all of them. It answers no requests. See docs/decisions/0043-services-and-workers.md.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import { workerArgument } from './arguments.ts';
import { onStopSignals } from './stop-signals.ts';

/** When a worker that died is restarted, and when the parent gives up. */
export interface WorkerPolicy {
  /** The pause after a worker's first early exit. Each further one doubles it, up to the longest. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** An exit is early if it comes sooner than this after the worker's start. */
  earlyMs: number;
  /** After this many early exits of one worker in a row, the parent gives up. */
  mostEarlyEnds: number;
  /** How long beyond `SHUTDOWN_TIMEOUT` a worker may take to close catalog and store; then it is killed. */
  closeMs: number;
}

/** The pauses add up to 42 s before the parent gives up: longer than a database takes to restart. */
const POLICY: WorkerPolicy = {
  firstPauseMs: 200,
  longestPauseMs: 10_000,
  earlyMs: 10_000,
  mostEarlyEnds: 10,
  closeMs: 5_000,
};

/** What the parent needs. */
export interface SupervisorOptions {
  workers: number;
  /** The command line, for the first start of the first worker. */
  args: readonly string[];
  shutdownTimeoutMs: number;
  log: Logger;
  policy?: WorkerPolicy;
}

/** How a worker exited; `error` where it could not be started. */
interface End {
  code: number | null;
  signal: string | null;
  error?: Error;
}

/**
 * Runs the workers until SIGTERM or SIGINT, or until it gives up. The first worker starts alone: it migrates the catalog,
 * and what keeps it from starting would keep the others from starting, too.
 *
 * @returns the exit code for this process: 0 after a clean stop; the first worker's, if that could not start; else 1.
 */
export async function superviseWorkers(options: SupervisorOptions): Promise<number> {
  const { workers, args, log, shutdownTimeoutMs, policy = POLICY } = options;
  // All workers accept connections from one queue of the kernel. If this process distributed them, a connection would be lost
  // when the worker dies that it is handed to, and its client would wait forever.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const running = createRunning(shutdownTimeoutMs + policy.closeMs, log);
  const first = running.start(1, args);
  const refused = await Promise.race([untilListening(first.worker), first.end]);
  if (refused && !running.stopping.aborted) return refused.code || 1;

  const lives = Array.from({ length: workers }, async (_, index) => {
    const number = index + 1;
    const isHopeful = await keepRunning(number, index === 0 ? first : undefined, { running, log, policy });
    if (isHopeful) return;
    log.fatal({ worker: number }, 'a worker ends at once again and again: the service ends');
    running.fail();
  });
  await Promise.all(lives);
  return running.finish();
}

interface Started {
  worker: Worker;
  startedAt: number;
  end: Promise<End>;
}

/** Keeps one worker running until the stop. @returns false after too many early exits. */
async function keepRunning(
  number: number,
  started: Started | undefined,
  { running, log, policy }: { running: Running; log: Logger; policy: WorkerPolicy },
): Promise<boolean> {
  let current = started;
  for (let earlyEnds = 0; !running.stopping.aborted; current = undefined) {
    const { worker, startedAt, end } = (current ??= running.start(number, []));
    const { code, signal, error } = await end;
    if (running.stopping.aborted) break;
    earlyEnds = performance.now() - startedAt < policy.earlyMs ? earlyEnds + 1 : 0;
    log.error({ worker: number, pid: worker.process.pid, code, signal, err: error, earlyEnds }, 'a worker ended');
    if (earlyEnds >= policy.mostEarlyEnds) return false;
    const pauseMs = earlyEnds === 0 ? 0 : policy.firstPauseMs * 2 ** (earlyEnds - 1);
    await wait(Math.min(pauseMs, policy.longestPauseMs), undefined, { signal: running.stopping }).catch(
      () => undefined,
    );
  }
  return true;
}

interface Running {
  /** Aborted once all workers are to exit. */
  readonly stopping: AbortSignal;
  start(number: number, args: readonly string[]): Started;
  /** Gives up: stops all workers; the exit code will be 1. */
  fail(): void;
  /** To be called when all workers have exited. @returns the exit code for this process. */
  finish(): number;
}

/** Keeps the running workers, and stops all of them on a signal or a failure. */
function createRunning(stopTimeoutMs: number, log: Logger): Running {
  const workers = new Set<Worker>();
  const stopping = new AbortController();
  let isClean = true;
  let deadline: NodeJS.Timeout | undefined;

  function kill(signal: NodeJS.Signals): void {
    // Not Worker.kill: it first closes the channel to the worker, and waits for that.
    for (const { process: child } of workers) child.kill(signal);
  }

  function stop(): void {
    stopping.abort();
    kill('SIGTERM');
    deadline = setTimeout(() => {
      log.error('workers that did not stop in time are killed');
      isClean = false;
      kill('SIGKILL');
    }, stopTimeoutMs);
  }

  function onSignal(signal: NodeJS.Signals): void {
    if (!stopping.signal.aborted) {
      log.info({ signal }, 'stopping the workers');
      stop();
      return;
    }
    // A second signal: the operator does not want to wait.
    isClean = false;
    kill('SIGKILL');
  }
  onStopSignals(onSignal);

  return {
    stopping: stopping.signal,
    start: (number, args) => {
      cluster.setupPrimary({ args: [...args, workerArgument(number)] });
      const worker = cluster.fork();
      workers.add(worker);
      const end = untilEnd(worker).then((found) => {
        workers.delete(worker);
        // SIGTERM ends a worker that has no handler for it yet: that is a clean stop.
        if (stopping.signal.aborted && found.code !== 0 && found.signal !== 'SIGTERM') isClean = false;
        return found;
      });
      return { worker, startedAt: performance.now(), end };
    },
    fail: () => {
      isClean = false;
      if (!stopping.signal.aborted) stop();
    },
    finish: () => {
      clearTimeout(deadline);
      return isClean ? 0 : 1;
    },
  };
}

function untilListening(worker: Worker): Promise<undefined> {
  return new Promise((resolve) => worker.once('listening', () => resolve(undefined)));
}

function untilEnd(worker: Worker): Promise<End> {
  return new Promise((resolve) => {
    worker.once('exit', (code: number | null, signal: string | null) => resolve({ code, signal }));
    // The worker could not be started; or a message could not be sent to it, and then its `exit` follows.
    worker.once('error', (error) => {
      if (worker.process.pid === undefined) resolve({ code: null, signal: null, error });
    });
  });
}
