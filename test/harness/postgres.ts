/** A real PostgreSQL on loopback, in a folder of its own: the newest of Debian's packages, or else the one on PATH. */
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { isExecutable, isHere } from './needs.ts';
import { freePort } from './ports.ts';
import type { SelfSigned } from './self-signed.ts';

const run = promisify(execFile);

/** The folder of the programs; undefined where there are none. */
const PROGRAMS: string | undefined = findPrograms();

/** Why no PostgreSQL can be started here and how to get it, in one line; undefined where it can. */
export const POSTGRES_MISSING: string | undefined =
  PROGRAMS === undefined
    ? 'no PostgreSQL here (initdb, pg_ctl): apt-get install --no-install-recommends postgresql'
    : undefined;

/** Whether a PostgreSQL can be started here. Where not, prints why tests are skipped. */
export function hasPostgres(): boolean {
  return isHere(POSTGRES_MISSING === undefined, POSTGRES_MISSING ?? '');
}

/** The superuser, as whom tests create databases. */
export const SUPERUSER = 'postgres';
/** The superuser's password, as in a URL; a test checks that it does not appear where it must not. */
export const PASSWORD = 'tide%40table';

export interface RunningPostgres {
  readonly port: number;
  readonly folder: string;
  /** Stops it at once, like a crash: connections break, and its next start recovers. Resolves when it has exited. */
  kill(): Promise<void>;
  /** Restarts it on the same port and data, as an operator does: all connections are closed. */
  restart(): Promise<void>;
  /** From now on it offers TLS with this certificate. */
  certify(pair: SelfSigned): Promise<void>;
  /** Stops it and removes the folder. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Where it keeps everything; a new folder by default. */
  folder?: string;
  /** It stops when this process has exited, even if that was killed; this process by default. */
  ownerPid?: number;
  /** It offers TLS with this certificate. */
  certificate?: SelfSigned;
  /** Its commits survive a power cut, as an operator's do: for benchmarks. */
  isDurable?: boolean;
}

/** Starts a server, which takes about two seconds. @throws Error with the output of the programs. */
export async function startPostgres({
  folder: given,
  ownerPid = process.pid,
  certificate,
  isDurable = false,
}: PostgresOptions = {}): Promise<RunningPostgres> {
  if (POSTGRES_MISSING !== undefined) throw new Error(POSTGRES_MISSING);
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'tidemark-pg-')));
  const port = await freePort();
  watch(folder, ownerPid);
  try {
    await initialize(folder);
    if (certificate) await writeCertificate(folder, certificate);
    await start(folder, port, isDurable);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    port,
    folder,
    kill: () => control(folder, ['stop', '-m', 'immediate']),
    restart: async () => {
      await control(folder, ['stop', '-m', 'fast']).catch(() => undefined);
      await start(folder, port, isDurable);
    },
    certify: async (pair) => {
      await writeCertificate(folder, pair);
      await control(folder, ['reload']);
    },
    stop: () => stopPostgres(folder),
  };
}

/** Stops the server of a folder, and removes the folder. */
export async function stopPostgres(folder: string): Promise<void> {
  await control(folder, ['stop', '-m', 'immediate']).catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
}

async function initialize(folder: string): Promise<void> {
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, decodeURIComponent(PASSWORD));
  for (const path of [folder, passwordFile]) await giveAway(path);
  const options = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C', '--no-sync'];
  await call('initdb', folder, ['-D', join(folder, 'data'), '-U', SUPERUSER, ...options]);
}

/** In its data, where the server looks for them. */
async function writeCertificate(folder: string, { key, cert }: SelfSigned): Promise<void> {
  for (const [name, text] of [
    ['server.key', key],
    ['server.crt', cert],
    ['postgresql.auto.conf', 'ssl = on\n'],
  ] as const) {
    const path = join(folder, 'data', name);
    // The server takes a key that is its user's alone.
    await writeFile(path, text, { mode: 0o600 });
    await giveAway(path);
  }
}

function start(folder: string, port: number, isDurable: boolean): Promise<void> {
  // The data of tests need not survive a power cut. The Unix socket is in the folder, so that two servers never share one.
  const quick = isDurable ? '' : '-c fsync=off -c full_page_writes=off';
  const settings = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c max_connections=200 ${quick}`;
  return control(folder, ['start', '-w', '-t', '60', '-l', join(folder, 'log'), '-o', settings]);
}

function control(folder: string, args: string[]): Promise<void> {
  return call('pg_ctl', folder, ['-D', join(folder, 'data'), ...args]);
}

async function call(program: string, folder: string, args: string[]): Promise<void> {
  try {
    await run(join(PROGRAMS ?? '', program), args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      ...unprivileged(),
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '');
    throw new Error(`${program}: ${stderr?.trim() || message}\n${log.split('\n').slice(-20).join('\n')}`, {
      cause: error,
    });
  }
}

/** Where this process runs as root, which the programs refuse: the user that Debian's package creates, or nobody. */
export function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!user) throw new Error('no user to run PostgreSQL as: it refuses to run as root');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Makes it belong to the user that the programs run as. */
export async function giveAway(path: string): Promise<void> {
  const { uid, gid } = unprivileged();
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** Starts a process that stops the server and removes its folder once the owner has exited, however it did. */
function watch(folder: string, ownerPid: number): void {
  const script = `while kill -0 "$1" && [ -d "$2" ]; do sleep 1; done
    [ -d "$2" ] || exit 0
    kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"; sleep 1; rm -rf "$2"`;
  spawn('sh', ['-c', script, 'watch', String(ownerPid), folder], { detached: true, stdio: 'ignore' }).unref();
}

function findPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = listFolder(debian).sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.find((folder) => ['initdb', 'pg_ctl', 'postgres'].every((name) => isExecutable(join(folder, name))));
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
