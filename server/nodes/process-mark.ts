/**
 * Identifies a process, so that another one on the same machine can be certain that it has ended: then it need not wait
 * until the node counts as dead.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readBootId } from '../../stores/boot-id.ts';

/** Whether the process with a mark still runs. `unknown`: it may be on another machine, or in another container. */
export type Fate = 'runs' | 'ended' | 'unknown';

/**
 * The mark of this process: the machine's boot, the namespace of process ids, the process id, and its start time. Null
 * where the system does not provide them (Linux does: proc(5)).
 */
export function readProcessMark(): string | null {
  const here = readPlace();
  const startedAt = readStart('self');
  return here === null || startedAt === null ? null : `${here} ${process.pid} ${startedAt}`;
}

/** Looks whether the process with a mark still runs. One that is hidden from this process is `unknown`. */
export function fateOf(mark: string | null): Fate {
  if (mark === null) return 'unknown';
  const here = readPlace();
  const [boot, namespace, pid, startedAt] = mark.split(' ');
  if (here === null || here !== `${boot} ${namespace}`) return 'unknown';
  const start = readStart(pid ?? '');
  // Where other users' processes are hidden (hidepid, ProtectProc=) only a signal tells that there is one.
  if (start === null) return exists(Number(pid)) ? 'unknown' : 'ended';
  // A later process may have the same id.
  return start === startedAt ? 'runs' : 'ended';
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The boot, and the namespace of process ids: within the same namespace, this process knows all process ids. */
function readPlace(): string | null {
  try {
    const boot = readBootId();
    return boot === null ? null : `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/**
 * A process's start time in ticks since the boot (proc(5), /proc/pid/stat: 22); `over` for a zombie, null where no process
 * can be seen.
 */
function readStart(pid: string): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may have anything in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'over' : (fields[19] ?? null);
  } catch {
    return null;
  }
}
