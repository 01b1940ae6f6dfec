/** Limits processes to a share of a processor, by a control group of the kernel (cgroup, version 2 or 1). */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The period that container engines use, too. */
const PERIOD_US = 100_000;

/** A limit for a group of processes. */
export interface CpuLimit {
  /** Limits this process, with all of its threads, from now on. */
  add(pid: number): void;
  /** Removes the limit: its processes return to the group of this process. */
  remove(): void;
}

/** A folder in which groups can be created, and the files of a group. */
interface Hierarchy {
  folder: string;
  settings: (cpus: number) => Record<string, string>;
}

/**
 * Creates a group whose processes together get this share of one processor.
 *
 * @throws Error that says in one line why that is impossible here.
 */
export function createCpuLimit(name: string, cpus: number): CpuLimit {
  const { folder, settings } = findHierarchy();
  const group = join(folder, `tidemark-bench-${process.pid}-${name}`);
  const members = new Set<number>();
  mkdirSync(group);
  try {
    for (const [file, value] of Object.entries(settings(cpus))) writeFileSync(join(group, file), value, { flag: 'r+' });
  } catch (error) {
    rmdirSync(group);
    throw error;
  }
  return {
    add: (pid) => {
      writeFileSync(join(group, 'cgroup.procs'), String(pid));
      members.add(pid);
    },
    remove: () => {
      for (const pid of members) moveBack(pid, folder);
      rmdirSync(group);
    },
  };
}

function moveBack(pid: number, folder: string): void {
  try {
    writeFileSync(join(folder, 'cgroup.procs'), String(pid));
  } catch (error) {
    // The process has exited.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Why processes cannot be limited here, in one line; undefined where they can. */
export function whyNoCpuLimit(): string | undefined {
  try {
    createCpuLimit('try', 1).remove();
    return undefined;
  } catch (error) {
    return `no processor time can be limited here (cgroup): ${(error as Error).message}`;
  }
}

/** Finds where the processor time of this process is controlled (cgroups(7), proc_pid_mountinfo(5)). */
function findHierarchy(): Hierarchy {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [type = '', , options = ''] = after.split(' ');
      return { folder: before.split(' ')[4] ?? '', root: before.split(' ')[3] ?? '', type, options };
    });
  const own = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));

  const first = mounts.find(({ type, options }) => type === 'cgroup' && options.split(',').includes('cpu'));
  const ownFirst = own.find(([, controllers]) => controllers?.split(',').includes('cpu'));
  if (first && ownFirst) {
    return {
      folder: below(first, ownFirst.slice(2).join(':')),
      settings: (cpus) => ({
        'cpu.cfs_period_us': String(PERIOD_US),
        'cpu.cfs_quota_us': String(Math.round(cpus * PERIOD_US)),
      }),
    };
  }
  const second = mounts.find(({ type }) => type === 'cgroup2');
  const ownSecond = own.find(([id]) => id === '0');
  if (!second || !ownSecond) throw new Error('no cgroup is mounted');
  const folder = below(second, ownSecond.slice(2).join(':'));
  // The kernel refuses this while the group has processes, unless it is the root: then the bench needs a group of its own.
  if (!readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8').split(/\s/).includes('cpu'))
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+cpu');
  return { folder, settings: (cpus) => ({ 'cpu.max': `${Math.round(cpus * PERIOD_US)} ${PERIOD_US}` }) };
}

/** The folder of this process's group; a mount in a container begins at the container's own. */
function below({ folder, root }: { folder: string; root: string }, group: string): string {
  const path = root !== '/' && group.startsWith(root) ? group.slice(root.length) : group;
  return join(folder, path);
}
