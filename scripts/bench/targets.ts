/** The servers that are compared, each in a process of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { delimiter, join, resolve as toAbsolute } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/harness/ports.ts';
import type { RunningRgw } from '../../test/harness/rgw.ts';
import { startService } from '../../test/harness/service.ts';

/** A running server. */
export interface Target {
  name: string;
  /** How it receives a file: by tus below this address, or by PUT to it. */
  url: string;
  protocol: 'tus' | 'put';
  /** For a program that sends files itself, instead of a server: makes it send a file of this size. */
  send?(size: number): Promise<unknown>;
  pid: number;
  /** Its log so far. */
  output?(): string;
  stop(): Promise<void>;
}

/** Starts a server that may use this folder. */
export type StartTarget = (workFolder: string) => Promise<Target>;

/** tidemark itself. */
export function startTidemark(workFolder: string, env: NodeJS.ProcessEnv = {}, name = 'tidemark'): Promise<Target> {
  return startBuild(name, workFolder, { env });
}

/** Starts a build of tidemark: this one, or the one whose entry is given. */
async function startBuild(
  name: string,
  workFolder: string,
  { env = {}, main }: { env?: NodeJS.ProcessEnv; main?: string },
): Promise<Target> {
  const folder = await mkdtemp(join(workFolder, 'tidemark-'));
  const service = await startService({
    dataDir: folder,
    env: { LOG_LEVEL: 'warn', ...env },
    ...(main === undefined ? {} : { main }),
  });
  return {
    name,
    url: `${service.url}/uploads`,
    protocol: 'tus',
    pid: service.pid,
    output: () => service.output(),
    stop: async () => {
      await service.kill('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The build in the folder BENCH_BEFORE, if that is set: this build is compared with it. */
export function listBuilds(env: NodeJS.ProcessEnv = {}): StartTarget[] {
  const before = process.env['BENCH_BEFORE'];
  return [
    (folder) => startTidemark(folder, env),
    ...(before
      ? [
          (folder: string) =>
            startBuild('tidemark before', folder, { env, main: toAbsolute(before, 'server', 'main.js') }),
        ]
      : []),
  ];
}

/** Everything that can be measured on this machine, tidemark first. */
export function listTargets(): StartTarget[] {
  const tusd = findOnPath('tusd');
  return [
    ...listBuilds(),
    (folder) => startScript('@tus/server + FileStore', 'plain-server.js', 'tus', folder),
    (folder) => startScript('bare PUT sink', 'sink-server.js', 'put', folder),
    ...(tusd ? [(folder: string) => startTusd(tusd, folder)] : []),
  ];
}

/** Starts a server whose script is in this folder. */
export async function startScript(
  name: string,
  script: string,
  protocol: Target['protocol'],
  workFolder: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Target> {
  return startProcess(
    name,
    protocol,
    '/uploads',
    workFolder,
    (folder, port) => [process.execPath, [pathOf(script), folder, String(port)]],
    env,
  );
}

/** Starts a script of this folder that sends files directly to the bucket, one for each message with a size. */
export async function startDirect(name: string, script: string, env: NodeJS.ProcessEnv): Promise<Target> {
  const child = fork(pathOf(script), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  child.on('message', (message) => {
    if (message !== 'ready') waiting.shift()?.resolve();
  });
  child.once('exit', (code) => {
    for (const { reject } of waiting) reject(new Error(`${name} exited with ${code}`));
  });
  await once(child, 'message');
  return {
    name,
    url: '',
    protocol: 'put',
    // Answers come in any order. Each resolves the oldest request: callers wait for all requests that they sent at once.
    send: (size) => new Promise<void>((resolve, reject) => void (waiting.push({ resolve, reject }), child.send(size))),
    pid: child.pid ?? -1,
    stop: async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url));
}

async function startTusd(tusd: string, workFolder: string): Promise<Target> {
  return startProcess('tusd', 'tus', '/uploads', workFolder, (folder, port) => [
    tusd,
    ['-host', '127.0.0.1', '-port', String(port), '-upload-dir', folder, '-base-path', '/uploads'],
  ]);
}

async function startProcess(
  name: string,
  protocol: Target['protocol'],
  path: string,
  workFolder: string,
  command: (folder: string, port: number) => [string, string[]],
  env: NodeJS.ProcessEnv = {},
): Promise<Target> {
  const folder = join(workFolder, `${name.replaceAll(/\W+/g, '-')}-${Date.now()}`);
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const [program, args] = command(folder, port);
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  await untilListening(port, child, name);
  return {
    name,
    protocol,
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
    if (child.exitCode !== null) throw new Error(`${name} exited with ${child.exitCode}`);
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await wait(20);
  }
  throw new Error(`${name} does not answer`);
}

/** Settings of a service for this bucket. @param port - the gateway's, or that of a proxy in front of it. */
export function bucketEnv(rgw: RunningRgw, port: number): Record<string, string> {
  return {
    S3_ENDPOINT: `http://127.0.0.1:${port}`,
    S3_REGION: rgw.region,
    S3_BUCKET: rgw.bucket,
    S3_ACCESS_KEY_ID: rgw.accessKeyId,
    S3_SECRET_ACCESS_KEY: rgw.secretAccessKey,
  };
}

/** The path of a program; undefined where PATH does not have it. */
export function findOnPath(program: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder of PATH.
    }
  }
  return undefined;
}

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

/** The ids of a process and of all its descendants that run (proc(5): children). */
function processTree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
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
