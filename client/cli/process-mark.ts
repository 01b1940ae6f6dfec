/** Marks that identify a process, so that later runs can find out whether it is still running. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** `unknown`: the process is of another machine or container, or the text is no mark. */
export type Life = 'running' | 'ended' | 'unknown';

/** The mark of this process: letters, digits and hyphens. */
export function ownMark(): string {
  return `${place()}-${process.pid}-${startOf(process.pid)}`;
}

/** Whether the process of a mark is still running. Systems reuse process ids, so its start time has to match, too. */
export function lifeOf(mark: unknown): Life {
  const match = typeof mark === 'string' ? /^([0-9a-f]{8})-(\d+)-([0-9a-z]+)$/.exec(mark) : null;
  if (!match || match[1] !== place()) return 'unknown';
  const pid = Number(match[2]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs as another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'ended';
  }
  return startOf(pid) === match[3] ? 'running' : 'ended';
}

/** Identifies the namespace of process ids: the machine, and on Linux the container. */
function place(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux.
  }
  return createHash('sha256').update(`${hostname()} ${namespace}`).digest('hex').slice(0, 8);
}

/** When a process started, in a unit of the system; `gone` for a zombie, `unseen` where it cannot be read. */
function startOf(pid: number): string {
  if (process.platform === 'linux') {
    try {
      // proc(5): the name, in parentheses, may hold anything; the state follows, and 19 fields on the start.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? 'gone' : (fields[19] ?? 'unseen');
    } catch {
      return 'unseen';
    }
  }
  try {
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { env, encoding: 'utf8', stdio: 'pipe' });
    return createHash('sha256').update(started.trim()).digest('hex').slice(0, 12);
  } catch {
    return 'unseen';
  }
}
