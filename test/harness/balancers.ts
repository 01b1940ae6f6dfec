/** Real balancers in front of nodes, with the configurations that docs/nodes.md shows. */
import { type RunningFront, startFront } from './front.ts';
import { findProgram } from './needs.ts';
import { NGINX, NGINX_MISSING, startNginx } from './nginx.ts';

export interface Balancer {
  name: string;
  /** The language of its block in a document. */
  language: string;
  isHere: boolean;
  /** How to get it, in one line. */
  missing: string;
  /** Starts it with this block; replaces ports and certificate by free ports and a certificate of its own. */
  start(block: string): Promise<RunningFront>;
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
      startFront({
        program: HAPROXY ?? 'haproxy',
        args: (file) => ['-db', '-f', file],
        configure: (folder, { https, http }) =>
          block
            .replace('bind :80', `bind 127.0.0.1:${http}`)
            .replace(/bind :443 ssl crt \S+/, `bind 127.0.0.1:${https} ssl crt ${folder}/both.pem`),
        first: 'https',
      }),
  },
  {
    name: 'Caddy',
    language: 'caddyfile',
    isHere: CADDY !== undefined,
    missing: 'no Caddy here: apt-get install --no-install-recommends caddy',
    start: (block) =>
      startFront({
        program: CADDY ?? 'caddy',
        args: (file) => ['run', '--config', file, '--adapter', 'caddyfile'],
        // Without HTTP/3: the UDP port of this number is what claims the port.
        configure: (folder, { https, http }) =>
          `{\n\tadmin off\n\thttp_port ${http}\n\tauto_https off\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n${block.replace(
            /^(files\.example\.org) \{$/m,
            `https://$1:${https} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`,
          )}`,
        first: 'https',
      }),
  },
];
