/** Real balancers in front of nodes, with the configurations that docs/nodes.md shows. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isExecutable } from './needs.ts';
import { NGINX, NGINX_MISSING, startNginx } from './nginx.ts';
import { freePort } from './ports.ts';
import { makeSelfSigned } from './self-signed.ts';

const START_TIMEOUT_MS = 20_000;

export interface RunningBalancer {
  /** The port for https, on loopback. */
  readonly port: number;
  stop(): Promise<void>;
}

export interface Balancer {
  name: string;
  /** The language of its block in a document. */
  language: string;
  isHere: boolean;
  /** How to get it, in one line. */
  missing: string;
  /** Starts it with this block; replaces ports and certificate by free ports and a certificate of its own. */
  start(block: string): Promise<RunningBalancer>;
}

const HAPROXY = findProgram('haproxy');
const CADDY = findProgram('caddy');

export const BALANCERS: readonly Balancer[] = [
  { name: 'nginx', language: 'nginx', isHere: NGINX !== undefined, missing: NGINX_MISSING, start: startNginx },
  {
    name: 'HAProxy',
    language: 'haproxy',
    isHere: HAPROXY !== undefined,
    missing: 'no HAProxy here: apt-get install --no-install-recommends haproxy',
    start: (block) =>
      startProgram(
        (folder, { https, http }) =>
          block
            .replace('bind :80', `bind 127.0.0.1:${http}`)
            .replace(/bind :443 ssl crt \S+/, `bind 127.0.0.1:${https} ssl crt ${folder}/both.pem`),
        (file) => [HAPROXY ?? '', ['-db', '-f', file]],
      ),
  },
  {
    name: 'Caddy',
    language: 'caddyfile',
    isHere: CADDY !== undefined,
    missing: 'no Caddy here: apt-get install --no-install-recommends caddy',
    start: (block) =>
      startProgram(
        // Without HTTP/3: the UDP port of this number is what claims the port.
        (folder, { https, http }) =>
          `{\n\tadmin off\n\thttp_port ${http}\n\tauto_https off\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n${block.replace(
            /^(files\.example\.org) \{$/m,
            `https://$1:${https} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`,
          )}`,
        (file) => [CADDY ?? '', ['run', '--config', file, '--adapter', 'caddyfile']],
      ),
  },
];

async function startProgram(
  configure: (folder: string, ports: { https: number; http: number }) => string,
  command: (file: string) => [program: string, args: string[]],
): Promise<RunningBalancer> {
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
  const [program, args] = command(file);
  const child = spawn(program, args, {
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
  while (!(await listens(ports.https))) {
    if (child.exitCode === null && child.pid !== undefined && Date.now() < deadline) {
      await wait(20);
      continue;
    }
    await stop();
    throw new Error(`${program} did not come up: ${said}`);
  }
  return { port: ports.https, stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Debian installs some into a folder that only root's PATH has. */
function findProgram(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
    .map((folder) => join(folder, name))
    .find((path) => isExecutable(path));
}
