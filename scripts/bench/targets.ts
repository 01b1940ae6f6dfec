/** The servers that are compared, each in a process of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { delimiter, join, resolve as toAbsolute } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/harness/ports.ts';
import type { RunningRgw } from '../../test/harness/rgw.ts';
import { startService } from '../../test/harness/service.ts';

/** The part size of all programs that store in a bucket. */
const PART_BYTES = 8 * 1024 * 1024;

/** Names of targets. */
export const TIDEMARK = 'tidemark';
export const PLAIN = '@tus/server + FileStore';
export const SINK = 'bare PUT sink';
export const TUSD = 'tusd';
export const TUSD_S3 = 'tusd with S3';

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
export function startTidemark(workFolder: string, env: NodeJS.ProcessEnv = {}, name = TIDEMARK): Promise<Target> {
  return startBuild(name, workFolder, { env });
}

/** Starts a build of tidemark: this one, or the one whose entry is given. */
async function startBuild(
  name: string,
  workFolder: string,
  { env = {}, main }: { env?: NodeJS.ProcessEnv; main?: string },
): Promise<Target> {
  const folder = await mkdtemp(join(workFolder, 'tidemark-'));
  const digests = process.env['BENCH_DIGESTS'];
  const service = await startService({
    dataDir: folder,
    env: { LOG_LEVEL: 'warn', ...(digests ? { DIGESTS: digests } : {}), ...env },
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

/**
 * This build and the one in the folder BENCH_BEFORE, if that is set.
 *
 * @param makeEnv - the settings for a start.
 */
export function listBuilds(makeEnv: () => NodeJS.ProcessEnv = () => ({})): StartTarget[] {
  const before = process.env['BENCH_BEFORE'];
  return [
    (folder) => startTidemark(folder, makeEnv()),
    ...(before
      ? [
          (folder: string) =>
            startBuild('tidemark before', folder, { env: makeEnv(), main: toAbsolute(before, 'server', 'main.js') }),
        ]
      : []),
  ];
}

/** Everything that can be measured on this machine, tidemark first. */
export function listTargets(): StartTarget[] {
  return [...listBuilds(), startPlain, startSink, ...listTusd()];
}

/** The library without this service, on the disk. */
export function startPlain(folder: string): Promise<Target> {
  return startScript(PLAIN, 'plain-server.js', 'tus', folder);
}

/** The minimum: it writes each PUT to a file. */
export function startSink(folder: string): Promise<Target> {
  return startScript(SINK, 'sink-server.js', 'put', folder);
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

/** tusd on the disk, or on a bucket with parts of 8 MiB, as the others have; none where it is not on the PATH. */
export function listTusd(rgw?: RunningRgw): StartTarget[] {
  const tusd = findOnPath('tusd');
  if (!tusd) return [];
  const bucketFlags = ({ bucket, port }: RunningRgw): string[] => [
    `-s3-bucket=${bucket}`,
    `-s3-endpoint=http://127.0.0.1:${port}`,
    `-s3-part-size=${PART_BYTES}`,
    `-s3-min-part-size=${PART_BYTES}`,
  ];
  const name = rgw ? TUSD_S3 : TUSD;
  return [
    (workFolder) =>
      startProcess(
        name,
        'tus',
        '/uploads',
        workFolder,
        (folder, port) => [
          tusd,
          [
            '-host=127.0.0.1',
            `-port=${port}`,
            '-base-path=/uploads',
            ...(rgw ? bucketFlags(rgw) : [`-upload-dir=${folder}`]),
          ],
        ],
        rgw ? goBucketEnv(rgw) : {},
      ),
  ];
}

/** What the SDK for Go reads. */
function goBucketEnv({ region, accessKeyId, secretAccessKey }: RunningRgw): Record<string, string> {
  return {
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    // Ceph 16 refuses the SDK's own checksums of streams.
    AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required',
    AWS_RESPONSE_CHECKSUM_VALIDATION: 'when_required',
  };
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
