/** A real nginx in front of a service, with the configuration that a document shows. */
import { type RunningFront, startFront } from './front.ts';
import { findProgram } from './needs.ts';

/** The path of nginx; undefined where there is none. */
export const NGINX: string | undefined = findProgram('nginx');

/** How to get it, in one line. */
export const NGINX_MISSING = 'no nginx here: apt-get install --no-install-recommends nginx-light';

/** Further settings of `http {}`: among them compression of everything, which some operators enable. */
const SURROUNDINGS = 'access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;';
const FOLDERS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/**
 * A server as it comes, for a service on loopback: bodies of at most 1 MiB, each kept until it is whole, and a cache that
 * keeps every answer that does not forbid it, and asks for a HEAD by GET.
 */
export function bufferingCache(port: number): string {
  return `proxy_cache_path cache keys_zone=all:1m;
server { listen 80; location / {
  proxy_pass http://127.0.0.1:${port}; proxy_set_header Host $http_host; proxy_cache all; proxy_cache_valid any 10m; } }`;
}

/**
 * Starts nginx with these `server` blocks; replaces their ports and certificate by free ports and a certificate of its own.
 *
 * @throws Error with what nginx said when it does not come up.
 */
export function startNginx(servers: string): Promise<RunningFront> {
  return startFront({
    program: NGINX ?? 'nginx',
    args: (file, folder) => ['-p', folder, '-e', 'stderr', '-c', file],
    configure: (folder, { https, http }) => {
      const here = servers
        .replace('listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`)
        .replace('listen 80;', `listen 127.0.0.1:${http};`)
        .replace(/(access_log +)\/var\/log\/nginx/, `$1${folder}`)
        .replace(/(ssl_certificate +)\S+;/, `$1${folder}/cert.pem;`)
        .replace(/(ssl_certificate_key +)\S+;/, `$1${folder}/key.pem;`);
      const places = FOLDERS.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
      // A single process, which a single signal stops.
      return `daemon off; master_process off; pid ${folder}/pid;\nevents {}\nhttp {\n${SURROUNDINGS} ${places}\n${here}}\n`;
    },
    first: servers.includes('listen 443 ssl;') ? 'https' : 'http',
  });
}
