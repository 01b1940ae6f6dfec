/** A real nginx in front of a service, with the configuration that a document shows. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './ports.ts';
import { makeSelfSigned } from './self-signed.ts';

/** The path of nginx; undefined where there is none. Debian installs it into a folder that only root's PATH has. */
export const NGINX: string | undefined = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  .map((folder) => join(folder, 'nginx'))
  .find((path) => existsSync(path));

/** How to get it, in one line. */
export const NGINX_MISSING = 'no nginx here: apt-get install --no-install-recommends nginx-light';

/** Further settings of `http {}`: among them compression of everything, which some operators enable. */
const SURROUNDINGS = 'access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;';
const FOLDERS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
const START_TIMEOUT_MS = 20_000;

/**
 * A server as it comes, for a service on loopback: bodies of at most 1 MiB, each kept until it is whole, and a cache that
 * keeps every answer that does not forbid it, and asks for a HEAD by GET.
 */
export function bufferingCache(port: number): string {
  return `proxy_cache_path cache keys_zone=all:1m;
server { listen 80; location / {
  proxy_pass http://127.0.0.1:${port}; proxy_set_header Host $http_host; proxy_cache all; proxy_cache_valid any 10m; } }`;
}

export interface RunningNginx {
  /** The port for https, on loopback, if a server listens for https. */
  readonly port: number;
  /** The port for http. */
  readonly plainPort: number;
  stop(): Promise<void>;
}

/**
 * Starts nginx with these `server` blocks; replaces their ports and certificate by free ports and a certificate of its own.
 *
 * @throws Error with what nginx said when it does not come up.
 */
export async function startNginx(servers: string): Promise<RunningNginx> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  const [port, plainPort] = [await freePort(), await freePort()];
  const { key, cert } = makeSelfSigned(1);
  const here = servers
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`)
    .replace('listen 80;', `listen 127.0.0.1:${plainPort};`)
    .replace(/(ssl_certificate +)\S+;/, `$1${folder}/cert.pem;`)
    .replace(/(ssl_certificate_key +)\S+;/, `$1${folder}/key.pem;`);
  const places = FOLDERS.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  await Promise.all([
    writeFile(join(folder, 'cert.pem'), cert),
    writeFile(join(folder, 'key.pem'), key),
    // A single process, which a single signal stops.
    writeFile(
      join(folder, 'nginx.conf'),
      `daemon off; master_process off; pid ${folder}/pid;\nevents {}\nhttp {\n${SURROUNDINGS} ${places}\n${here}}\n`,
    ),
  ]);
  const child = spawn(NGINX ?? 'nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await gone;
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  const first = servers.includes('listen 443 ssl;') ? port : plainPort;
  while (!(await listens(first))) {
    if (child.exitCode === null && child.pid !== undefined && Date.now() < deadline) {
      await wait(20);
      continue;
    }
    await stop();
    throw new Error(`nginx did not come up: ${said}`);
  }
  return { port, plainPort, stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
