/**
 * Which process this is, so that another one on the same machine can tell for sure that it has ended: then nobody has to
 * wait until its node counts as dead.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readBootId } from '../../stores/boot-id.ts';

/** Of a process whose mark this process can read: it still runs, or it has ended. `unknown`: it may be on another machine. */
export type Fate = 'runs' | 'ended' | 'unknown';

/**
 * Boot of the machine, namespace of process ids, process id, and when it started. Null where the system does not tell
 * (it does on Linux: proc(5)).
 */
export function readProcessMark(): string | null {
  const here = readPlace();
  const startedAt = readStart('self');
  return here === null || startedAt === null ? null : `${here} ${process.pid} ${startedAt}`;
}

/** What has become of the process with a mark. Other containers and machines are `unknown`. */
export function fateOf(mark: string | null): Fate {
  if (mark === null) return 'unknown';
  const here = readPlace();
  const [boot, namespace, pid, startedAt] = mark.split(' ');
  if (here === null || here !== `${boot} ${namespace}`) return 'unknown';
  // A later process may have the same id.
  return readStart(pid ?? '') === startedAt ? 'runs' : 'ended';
}

/** Two namespaces that exist have different numbers: whoever reads its own number knows all ids in it. */
function readPlace(): string | null {
  try {
    const boot = readBootId();
    return boot === null ? null : `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** In ticks since the boot (proc(5), /proc/pid/stat: 22); null where there is no such process, or it is only not buried yet. */
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
