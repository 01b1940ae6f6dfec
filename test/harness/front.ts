/** A program that stands in front of services: nginx, HAProxy or Caddy, on free ports of loopback, with a certificate of its own. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './ports.ts';
import { makeSelfSigned } from './self-signed.ts';

const START_TIMEOUT_MS = 20_000;

export interface FrontPorts {
  readonly https: number;
  readonly http: number;
}

export interface RunningFront {
  /** The port for https, on loopback, if it listens for https. */
  readonly port: number;
  /** The port for http. */
  readonly plainPort: number;
  /** Where it may write. */
  readonly folder: string;
  stop(): Promise<void>;
}

export interface Front {
  program: string;
  /** @param file - its configuration. */
  args(file: string, folder: string): string[];
  /** Its configuration. The folder has `cert.pem` and `key.pem`, and `both.pem` with both. */
  configure(folder: string, ports: FrontPorts): string;
  /** The port on which it listens once it is up. */
  first: keyof FrontPorts;
}

/**
 * Starts it, and waits until it listens.
 *
 * @throws Error with what it said when it does not come up.
 */
export async function startFront({ program, args, configure, first }: Front): Promise<RunningFront> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  const ports = { https: await freePort(), http: await freePort() };
  const { key, cert } = makeSelfSigned(1);
  const file = join(folder, 'config');
  await Promise.all([
    writeFile(join(folder, 'cert.pem'), cert),
    writeFile(join(folder, 'key.pem'), key),
    writeFile(join(folder, 'both.pem'), `${cert}${key}`),
    writeFile(file, configure(folder, ports)),
  ]);
  const child = spawn(program, args(file, folder), {
    // Caddy writes below its home.
    env: { PATH: process.env['PATH'], HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await listens(ports[first]))) {
    if (child.exitCode === null && child.pid !== undefined && Date.now() < deadline) {
      await wait(20);
      continue;
    }
    await stop();
    throw new Error(`${program} did not come up: ${said}`);
  }
  return { port: ports.https, plainPort: ports.http, folder, stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
