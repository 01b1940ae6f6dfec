/**
 * A Docker engine of its own for a test, below one folder, and images that need no registry: a stand-in for a base image
 * is made of this machine's own files.
 */
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { findProgram } from './needs.ts';

const START_TIMEOUT_MS = 30_000;

/** Why no engine can be started here and how to get one, in one line; undefined where it can. */
export const DOCKER_MISSING: string | undefined = describeMissing();

export interface RunningDocker {
  readonly folder: string;
  /** What the command says on stdout. @throws Error with what it said on stderr. */
  run(args: readonly string[], env?: NodeJS.ProcessEnv): string;
  /** What a container has written so far, to stdout and stderr. */
  logs(container: string): string;
  /** For other programs that speak to the engine. */
  readonly env: NodeJS.ProcessEnv;
  /** Makes an image of these programs, with the libraries that they link, under each of these names. */
  importPrograms(
    programs: readonly string[],
    names: readonly string[],
    files?: Record<string, string>,
    command?: string[],
  ): Promise<void>;
  /** Ends containers and engine, and removes the folder. */
  stop(): Promise<void>;
}

/** Starts an engine without networks: containers use the machine's own (`--network host`). */
export async function startDocker(): Promise<RunningDocker> {
  if (DOCKER_MISSING !== undefined) throw new Error(DOCKER_MISSING);
  // Short: sockets live in it.
  const folder = await mkdtemp(join(tmpdir(), 'tm-dk-'));
  const host = `unix://${folder}/sock`;
  const places = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`, '--pidfile', `${folder}/pid`];
  const without = ['--iptables=false', '--ip6tables=false', '--ip-forward=false', '--bridge=none'];
  const engine = spawn('dockerd', [...places, '--host', host, ...without], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  engine.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  const ended = new Promise<void>((resolve) => engine.once('exit', () => resolve()));
  const env = { PATH: process.env['PATH'], HOME: folder, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' };

  function call(args: readonly string[], more: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
    return spawnSync('docker', args, { env: { ...env, ...more }, encoding: 'utf8' });
  }

  function run(args: readonly string[], more?: NodeJS.ProcessEnv): string {
    const { status, stdout, stderr } = call(args, more);
    if (status !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr || stdout}`);
    return stdout.trim();
  }

  const deadline = Date.now() + START_TIMEOUT_MS;
  while (call(['version']).status !== 0) {
    if (engine.exitCode !== null || Date.now() > deadline) {
      engine.kill('SIGKILL');
      throw new Error(`dockerd did not come up: ${said}`);
    }
    await wait(50);
  }
  return {
    folder,
    run,
    logs: (container) => {
      const { stdout, stderr } = call(['logs', container]);
      return stdout + stderr;
    },
    env,
    importPrograms: async (programs, names, files = {}, command = []) => {
      const root = await mkdtemp(join(folder, 'image-'));
      for (const program of programs) await copyWithLibraries(program, root);
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(root + path), { recursive: true });
        await writeFile(root + path, text);
      }
      await mkdir(join(root, 'tmp'), { recursive: true, mode: 0o1777 });
      const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
      const [first = '', ...others] = names;
      const changes = [`ENV ${path}`, `CMD ${JSON.stringify(command)}`].flatMap((change) => ['--change', change]);
      const script = 'tar -C "$1" -c . | { shift; docker import "$@"; }';
      execFileSync('sh', ['-c', script, 'sh', root, ...changes, '-', first], { env });
      for (const name of others) run(['tag', first, name]);
      await rm(root, { recursive: true });
    },
    stop: async () => {
      const containers = call(['ps', '-aq']).stdout.split('\n').filter(Boolean);
      if (containers.length > 0) call(['rm', '-f', ...containers]);
      engine.kill('SIGTERM');
      await ended;
      // The engine leaves it mounted.
      spawnSync('umount', [`${folder}/exec/netns/default`]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The base images that a Dockerfile names, and its last stage. */
export async function readDockerfile(path: string): Promise<{ bases: string[]; lastStage: string }> {
  const text = await readFile(path, 'utf8');
  const bases = [...text.matchAll(/^FROM (\S+)/gm)].map(([, name = '']) => name);
  return { bases: [...new Set(bases)], lastStage: text.slice(text.lastIndexOf('\nFROM ') + 1) };
}

/** Where a program of this machine is. @throws Error where it is not. */
export function whereIs(name: string): string {
  const found = findProgram(name);
  if (found === undefined) throw new Error(`no ${name} here`);
  return found;
}

/** A link is copied as what it leads to. */
async function copyWithLibraries(program: string, root: string): Promise<void> {
  const linked = execFileSync('ldd', [realpathSync(program)], { encoding: 'utf8' });
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const path of [program, ...libraries]) {
    await mkdir(dirname(root + path), { recursive: true });
    await copyFile(path, root + path);
  }
}

function describeMissing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a Docker engine of its own needs root on Linux';
  try {
    for (const name of ['dockerd', 'docker', 'containerd', 'runc']) whereIs(name);
    return undefined;
  } catch {
    return 'no Docker engine here (dockerd): apt-get install --no-install-recommends docker.io';
  }
}
