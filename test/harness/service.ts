/** A real service process for tests, benchmarks and chaos, which can be killed and restarted on the same data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import { makeReserve } from './reserve.ts';
import { freePort } from './ports.ts';

const MAIN = fileURLToPath(new URL('../../server/main.js', import.meta.url));
const START_TIMEOUT_MS = 20_000;
/**
 * Only the MD5: a SHA-1, which is computed after publication, would change the JSON of a file at an unknown moment. No trash: a
 * deletion frees what it deletes, which most tests look at; those of the trash set it.
 */
const STEADY = { DIGESTS: 'md5', TRASH_TTL: '0' };

export interface RunningService {
  /** e.g. `http://127.0.0.1:40123`; the same after a restart. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly pid: number;
  /** What it has written to stdout and stderr so far, since its first start. */
  output(): string;
  /** Sends a signal and waits until the process has exited. @returns its exit code; null when a signal ended it. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
  /** Restarts it on the same port and folder; kills it before (SIGKILL), if it runs. @param env - settings that change. */
  restart(env?: NodeJS.ProcessEnv): Promise<void>;
  /** Kills it (SIGKILL) and removes its folder, unless the folder was given. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  env?: NodeJS.ProcessEnv;
  dataDir?: string;
  /** The entry of another build of the service; this build's by default. */
  main?: string;
  /** Arguments of its command line, only for the first start. */
  args?: readonly string[];
  /** Most file descriptors it may have (`ulimit -n`). */
  descriptors?: number;
}

/**
 * Starts a service on a free port of the loopback address and waits until it is ready.
 *
 * @throws Error with the service's output when it exits, or is not ready in time.
 */
export async function startService({
  env = {},
  dataDir,
  main = MAIN,
  args = [],
  descriptors,
}: ServiceOptions = {}): Promise<RunningService> {
  const folder = dataDir ?? (await makeDataFolder(env));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess;
  let output = '';
  let settings = env;

  async function start(given: readonly string[] = []): Promise<void> {
    const command = [process.execPath, '--enable-source-maps', main, ...given];
    if (descriptors !== undefined) command.unshift('bash', '-c', `ulimit -n ${descriptors}; exec "$0" "$@"`);
    const [program = '', ...rest] = command;
    const before = output.length;
    child = spawn(program, rest, {
      // Not in the checkout, so that the .env of a developer is not read.
      cwd: tmpdir(),
      env: {
        PATH: process.env['PATH'],
        LISTEN: '127.0.0.1',
        HTTP_PORT: String(port),
        DATA_DIR: folder,
        ...STEADY,
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    await untilReady(
      url,
      child,
      () => output,
      () => output.slice(before),
    );
  }

  async function kill(signal: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    return new Promise((resolve) => {
      child.once('exit', (code) => {
        resolve(code);
      });
      child.kill(signal);
    });
  }

  await start(args);
  return {
    url,
    port,
    dataDir: folder,
    get pid() {
      return child.pid ?? -1;
    },
    output: () => output,
    kill,
    restart: async (changed) => {
      await kill('SIGKILL');
      settings = { ...settings, ...changed };
      await start();
    },
    stop: async () => {
      await kill('SIGKILL');
      if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a service logs once it listens, unless `LOG_LEVEL` is above `info`. */
const LISTENS = 'tidemark listens on';
/** How often a service is asked that may log nothing of its start. */
const ASK_EVERY_MS = 250;

/** A folder with the catalog's reserve, which is a hole. A service whose folder is given makes its own. */
async function makeDataFolder({ DATABASE_URL }: NodeJS.ProcessEnv): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  if (DATABASE_URL === undefined) await makeReserve(join(folder, 'catalog.db'));
  return folder;
}

async function untilReady(url: string, child: ChildProcess, output: () => string, said: () => string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the service ended with ${child.exitCode ?? child.signalCode}:\n${output()}`);
    }
    // Each question in vain takes time of both: a busy machine has no use for fifty of them.
    await untilSaid(child, said, ASK_EVERY_MS);
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await wait(20);
  }
  child.kill('SIGKILL');
  throw new Error(`the service was not ready in ${START_TIMEOUT_MS} ms:\n${output()}`);
}

/** Resolves when the service has said that it listens, when it has ended, and at the latest after so long. */
async function untilSaid(child: ChildProcess, said: () => string, mostMs: number): Promise<void> {
  if (said().includes(LISTENS)) return;
  const over = new AbortController();
  const look = (): void => {
    if (said().includes(LISTENS)) over.abort();
  };
  const end = (): void => over.abort();
  child.stdout?.on('data', look);
  child.once('exit', end);
  await wait(mostMs, undefined, { signal: over.signal }).catch(() => undefined);
  child.stdout?.off('data', look);
  child.off('exit', end);
}
