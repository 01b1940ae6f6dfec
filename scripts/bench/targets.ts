/** The servers that are measured side by side, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, startService } from '../support/service.ts';

export interface Target {
  name: string;
  /** How it takes a file: tus below this address, or PUT to it. */
  url: string;
  protocol: 'tus' | 'put';
  pid: number;
  folder: string;
  stop(): Promise<void>;
}

export type StartTarget = (workFolder: string) => Promise<Target>;

/** tidemark itself. */
export async function startTidemark(workFolder: string, env: NodeJS.ProcessEnv = {}): Promise<Target> {
  const folder = await mkdtemp(join(workFolder, 'tidemark-'));
  const service = await startService({ dataDir: folder, env: { LOG_LEVEL: 'warn', ...env } });
  return {
    name: 'tidemark',
    url: `${service.url}/uploads`,
    protocol: 'tus',
    pid: service.pid,
    folder,
    stop: async () => {
      await service.kill('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Everything that can be measured on this machine, tidemark first. */
export function listTargets(): StartTarget[] {
  const tusd = findOnPath('tusd');
  return [
    (folder) => startTidemark(folder),
    (folder) => startScript('@tus/server + FileStore', 'plain-server.js', 'tus', folder),
    (folder) => startScript('bare PUT sink', 'sink-server.js', 'put', folder),
    ...(tusd ? [(folder: string) => startTusd(tusd, folder)] : []),
  ];
}

async function startScript(
  name: string,
  script: string,
  protocol: Target['protocol'],
  workFolder: string,
): Promise<Target> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return startProcess(name, protocol, '/uploads', workFolder, (folder, port) => [
    process.execPath,
    [path, folder, String(port)],
  ]);
}

async function startTusd(tusd: string, workFolder: string): Promise<Target> {
  return startProcess('tusd', 'tus', '/uploads/', workFolder, (folder, port) => [
    tusd,
    ['-host', '127.0.0.1', '-port', String(port), '-upload-dir', folder, '-base-path', '/uploads/'],
  ]);
}

async function startProcess(
  name: string,
  protocol: Target['protocol'],
  path: string,
  workFolder: string,
  command: (folder: string, port: number) => [string, string[]],
): Promise<Target> {
  const folder = join(workFolder, `${name.replaceAll(/\W+/g, '-')}-${Date.now()}`);
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const [program, args] = command(folder, port);
  const child = spawn(program, args, { stdio: 'ignore' });
  await untilListening(port, child, name);
  return {
    name,
    protocol,
    folder,
    url: `http://127.0.0.1:${port}${path}`,
    pid: child.pid ?? -1,
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilListening(port: number, child: ChildProcess, name: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await wait(20);
  }
  throw new Error(`${name} does not answer`);
}

function findOnPath(program: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** User and system CPU seconds a process has used (proc(5): stat, in ticks of 1/100 s). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Peak resident memory of a process in MiB (proc(5): status, VmHWM). */
export function peakMemoryMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
