/**
 * Requests through an HTTP proxy, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. For plain HTTP, the proxy gets requests with
 * whole addresses (RFC 9112 section 3.2.2); TLS goes through a tunnel (RFC 9110 section 9.3.6).
 */
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { TransportError, UsageError } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How a request gets to its server. */
export interface Route {
  agent: http.Agent;
  /** The proxy and the path to request from it, in place of the address's own; null where the request goes directly. */
  via: { hostname: string; port: number; path: string; headers: Record<string, string> } | null;
}

const CONNECT_TIMEOUT_MS = 30_000;

// Connections are reused: that saves a round trip for each request (two with TLS).
const direct = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
const proxied = new http.Agent({ keepAlive: true });
const tunnels = new Map<string, https.Agent>();

/** The route to an address, by the environment. @throws UsageError where a variable is no address of an HTTP proxy. */
export function routeTo(url: URL, environment: Environment = process.env): Route {
  const proxy = proxyFor(url, environment);
  if (proxy === null) return { agent: direct[url.protocol === 'https:' ? 'https:' : 'http:'], via: null };
  if (url.protocol === 'https:') return { agent: tunnelAgent(proxy), via: null };
  const { hostname, port, headers } = endOf(proxy);
  return { agent: proxied, via: { hostname, port, path: `${url.origin}${url.pathname}${url.search}`, headers } };
}

/**
 * The proxy for an address; null where there is none. Requests to this machine never use one: the proxy would take such an
 * address for its own machine.
 *
 * @throws UsageError
 */
export function proxyFor(url: URL, environment: Environment): URL | null {
  const variable = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const read = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
  const given = read(variable) || read('ALL_PROXY');
  if (given === '' || isOwn(url.hostname) || isExcepted(url, read('NO_PROXY'))) return null;
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`;
  if (URL.canParse(address) && new URL(address).protocol === 'http:') return new URL(address);
  throw new UsageError(`${variable} must be the address of an HTTP proxy, such as http://proxy.example.org:3128.`);
}

/** `host:port` of the proxy for an address, without its name and password; null where there is none. */
export function proxyHostFor(address: string): string | null {
  return proxyFor(new URL(address), process.env)?.host ?? null;
}

function isOwn(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Reads NO_PROXY as curl does: `*`, or names (with all their subdomains) and IP addresses, each with a port or without. */
function isExcepted({ hostname, port, protocol }: URL, list: string): boolean {
  const host = hostname.replaceAll(/[[\]]/g, '');
  const effective = port || (protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const match = /^(?:\*?\.)?(\[[^\]]+\]|[^:]+|[^:]*(?::[^:]*){2,})(?::(\d+))?$/.exec(entry.toLowerCase());
    const name = match?.[1]?.replaceAll(/[[\]]/g, '');
    if (!name || (match?.[2] !== undefined && match[2] !== effective)) return false;
    return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
  });
}

function endOf(proxy: URL): { hostname: string; port: number; headers: Record<string, string> } {
  const { username, password } = proxy;
  const secret = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const headers: Record<string, string> =
    username === '' ? {} : { 'Proxy-Authorization': `Basic ${Buffer.from(secret).toString('base64')}` };
  return { hostname: proxy.hostname.replaceAll(/[[\]]/g, ''), port: Number(proxy.port || 80), headers };
}

function tunnelAgent(proxy: URL): https.Agent {
  const known = tunnels.get(proxy.href);
  if (known) return known;
  const agent = new https.Agent({ keepAlive: true });
  const createConnection = (options: tls.ConnectionOptions, done: (error: Error | null, socket?: Duplex) => void) => {
    openTunnel(proxy, `${options.host}:${options.port}`).then(
      (socket) => done(null, tls.connect({ ...options, socket })),
      (error: Error) => done(error),
    );
  };
  // Node also accepts a connection through a callback, which its types do not have.
  Object.assign(agent, { createConnection });
  tunnels.set(proxy.href, agent);
  return agent;
}

function openTunnel(proxy: URL, authority: string): Promise<Duplex> {
  const { hostname, port, headers } = endOf(proxy);
  return new Promise((resolve, reject) => {
    const request = http.request({
      hostname,
      port,
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...headers },
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
    });
    request.once('timeout', () => request.destroy(new TransportError('stalled', 'the proxy does not answer')));
    request.once('error', reject);
    request.once('connect', (answer, socket) => {
      if (answer.statusCode === 200) resolve(socket);
      else reject(new TransportError('proxy_refused', `the proxy ${proxy.host} answered ${answer.statusCode}`));
    });
    request.end();
  });
}
