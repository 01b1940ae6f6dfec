/** A real Ceph object gateway (monitor, OSD, radosgw) on loopback, in a folder of its own. See scripts/ceph/rgw.sh. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable } from './needs.ts';

// The script is not compiled: it stays in the sources, beside dist/.
const SCRIPT = fileURLToPath(new URL('../../../scripts/ceph/rgw.sh', import.meta.url));

const NEEDED = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'monmaptool', 'curl', 'setsid'];

/** Why no Ceph can be started here and how to get it, in one line; undefined where it can. */
export const CEPH_MISSING: string | undefined = describeMissing();

export type RgwDaemon = 'mon' | 'osd' | 'rgw';

export interface RunningRgw {
  /** e.g. `http://127.0.0.1:26123`; the same after a restart. Path-style addressing. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where its data and logs are. */
  readonly folder: string;
  /** Kills a daemon (SIGKILL); resolves when it has exited. */
  kill(which: RgwDaemon): Promise<void>;
  /** Starts the daemons that do not run, on the same ports and data. */
  restart(): Promise<void>;
  /** Stops all daemons and removes the folder; does nothing to a shared cluster. */
  stop(): Promise<void>;
}

export interface RgwOptions {
  /** radosgw's `tcp_nodelay`, on by default here; Ceph's own default is off. */
  tcpNodelay?: boolean;
  /** The smallest part that it takes, but for the last, bytes; Ceph's own by default. */
  leastPartBytes?: number;
  /** Uses a cluster that others use, too: it is started if it does not run, and gets a new bucket. */
  shared?: SharedRgw;
}

/** A cluster that several processes share. */
export interface SharedRgw {
  /** The first of them creates it. Its path has to be short, as it contains sockets. */
  readonly folder: string;
  /** The cluster stops when this process has exited. */
  readonly ownerPid: number;
}

/**
 * Starts a cluster with one bucket on free ports, which takes about four seconds.
 * It stops when this process has exited, even if that was killed.
 *
 * @throws Error with the output of the daemons when one does not start.
 */
export async function startRgw({ tcpNodelay = true, leastPartBytes, shared }: RgwOptions = {}): Promise<RunningRgw> {
  if (CEPH_MISSING !== undefined) throw new Error(CEPH_MISSING);
  const folder = shared?.folder ?? (await mkdtemp(join(tmpdir(), 'tidemark-rgw-')));
  const env = {
    PATH: process.env['PATH'],
    RGW_DIR: folder,
    RGW_OWNER: String(shared?.ownerPid ?? process.pid),
    RGW_NODELAY: tcpNodelay ? '1' : '0',
    ...(leastPartBytes !== undefined && { RGW_LEAST_PART_BYTES: String(leastPartBytes) }),
    ...(shared && { RGW_BUCKET: `tidemark-test-${randomUUID()}` }),
  };
  const stop = shared ? async (): Promise<void> => undefined : (): Promise<void> => stopRgw(folder);
  let settings: Map<string, string>;
  try {
    settings = readSettings(await runScript(['start'], env));
  } catch (error) {
    await stop();
    throw error;
  }
  const endpoint = settings.get('S3_ENDPOINT') ?? '';
  return {
    endpoint,
    port: Number(new URL(endpoint).port),
    region: settings.get('S3_REGION') ?? '',
    bucket: settings.get('S3_BUCKET') ?? '',
    accessKeyId: settings.get('S3_ACCESS_KEY_ID') ?? '',
    secretAccessKey: settings.get('S3_SECRET_ACCESS_KEY') ?? '',
    folder,
    kill: async (which) => {
      await runScript(['kill', which], env);
    },
    restart: async () => {
      await runScript(['start'], env);
    },
    stop,
  };
}

/** Stops the cluster of a folder, shared or not, and removes the folder. */
export async function stopRgw(folder: string): Promise<void> {
  await runScript(['stop'], { PATH: process.env['PATH'], RGW_DIR: folder });
  await rm(folder, { recursive: true, force: true });
}

function runScript(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(SCRIPT, args, { env }, (error, stdout, stderr) => {
      if (error) reject(new Error(`rgw.sh ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
      else resolve(stdout);
    });
  });
}

function readSettings(lines: string): Map<string, string> {
  return new Map(
    lines.split('\n').map((line) => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
}

function describeMissing(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = NEEDED.filter((name) => !folders.some((folder) => isExecutable(join(folder, name))));
  if (missing.length === 0) return undefined;
  return `no Ceph here (${missing.join(', ')}): apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common curl`;
}
