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

/** Looks whether the process with a mark still runs. */
export function fateOf(mark: string | null): Fate {
  if (mark === null) return 'unknown';
  const here = readPlace();
  const [boot, namespace, pid, startedAt] = mark.split(' ');
  if (here === null || here !== `${boot} ${namespace}`) return 'unknown';
  // A later process may have the same id.
  return readStart(pid ?? '') === startedAt ? 'runs' : 'ended';
}

/** The boot, and the namespace of process ids: within the same namespace, this process can see all process ids. */
function readPlace(): string | null {
  try {
    const boot = readBootId();
    return boot === null ? null : `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** A process's start time in ticks since the boot (proc(5), /proc/pid/stat: 22); null where there is none, or it is a zombie. */
function readStart(pid: string): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may have anything in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
