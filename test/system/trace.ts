/** Trouble at a chosen system call of a running service, with strace(1): the kernel is real, its answer is not. */
import { execFileSync, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { until } from './support.ts';
import { isHere } from '../harness/needs.ts';

/** Whether strace is here and may trace other processes (ptrace(2)). */
export const CAN_TRACE = isHere(
  (() => {
    try {
      execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  })(),
  'faults in system calls need strace and the right to trace (Debian: apt-get install strace)',
);

const DETACH_MS = 10_000;

export interface Trace {
  /** Detaches from the service, which runs on undisturbed. */
  stop(): Promise<void>;
}

/**
 * Whether every thread of a process has a tracer (proc(5): TracerPid). Threads end, and a signal that is to come soon may have ended
 * the whole process by now: what has ended wants none.
 */
async function isTraced(pid: number): Promise<boolean> {
  for (const thread of await unlessEnded(readdir(`/proc/${pid}/task`), [])) {
    const status = await unlessEnded(readFile(`/proc/${pid}/task/${thread}/status`, 'utf8'), '');
    if (/^TracerPid:\s+0$/m.test(status)) return false;
  }
  return true;
}

/** ENOENT, or ESRCH where it ended while it was read. */
function unlessEnded<T>(reading: Promise<T>, otherwise: T): Promise<T> {
  return reading.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return otherwise;
    throw error;
  });
}

/**
 * Attaches to all threads of a process.
 *
 * @param calls - system calls, separated by commas.
 * @param injection - what happens there, in strace's words: `signal=KILL:when=2`, `delay_enter=5s`.
 * @param path - only calls on this file.
 */
export async function injectAt(pid: number, calls: string, injection: string, path?: string): Promise<Trace> {
  const where = ['-f', '-p', String(pid), ...(path === undefined ? [] : ['-P', path])];
  const tracer = spawn('strace', [...where, '-e', `trace=${calls}`, '-e', `inject=${calls}:${injection}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => {
    tracer.once('exit', () => resolve());
  });
  // Not read, it would fill its pipe and stop.
  tracer.stderr?.resume();
  await until('strace has all threads', () => tracer.exitCode !== null || isTraced(pid));
  return {
    stop: async () => {
      // SIGINT makes strace detach; after SIGKILL its tracees would stay stopped.
      if (tracer.exitCode === null && tracer.signalCode === null) tracer.kill('SIGINT');
      // Where the process is being killed just then, strace may wait for ever for its first thread, behind another
      // one that it has not looked after. Then nothing is left that could stay stopped.
      const late = setTimeout(() => tracer.kill('SIGKILL'), DETACH_MS);
      await exited;
      clearTimeout(late);
    },
  };
}
