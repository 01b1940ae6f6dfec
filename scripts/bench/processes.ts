/** What Linux tells about processes (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';

/** User and system CPU seconds of a process, its exited children, and the children that run (proc(5): stat, in ticks of 1/100 s). */
export function cpuSeconds(pid: number): number {
  return processTree(pid).reduce((sum, each) => sum + ownCpuSeconds(each), 0);
}

function ownCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime of the process, cutime and cstime of its exited children.
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The ids of a process and of all its descendants that run. */
function processTree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** The ids of the children of a process that run (proc(5): children). */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

/** Idle seconds of all processors of the machine together (proc(5): stat, in ticks of 1/100 s). */
export function idleSeconds(): number {
  // user, nice, system, idle.
  return Number(/^cpu +\d+ \d+ \d+ (\d+)/.exec(readFileSync('/proc/stat', 'utf8'))?.[1]) / 100;
}

/** MiB that a process and its children have written to disks so far (proc(5): io, write_bytes). */
export function writtenMib(pid: number): number {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  return Number(/^write_bytes: (\d+)/m.exec(io)?.[1]) / 1024 ** 2;
}

/** Peak resident memory of a process in MiB (proc(5): status, VmHWM). */
export function peakMemoryMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
