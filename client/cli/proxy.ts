/**
 * Requests through an HTTP proxy, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. For plain HTTP, the proxy gets requests with
 * whole addresses (RFC 9112 section 3.2.2); TLS goes through a tunnel (RFC 9110 section 9.3.6). The proxy itself may be
 * reached by TLS. No message shows the name and password in its address.
 */
import http from 'node:http';
import https from 'node:https';
import { BlockList, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { TransportError, UsageError } from './errors.ts';
import { ASKS_FOR_NAME, HopelessError } from './first-contact.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How a request gets to its server. */
export interface Route {
  agent: http.Agent;
  /** The proxy and the path to request from it, in place of the address's own; null where the request goes directly. */
  via: (ProxyEnd & { path: string }) | null;
}

/** What `request` needs to know of a proxy. */
interface ProxyEnd {
  protocol: string;
  hostname: string;
  /** For TLS to the proxy. Otherwise Node would take it from the header Host, which names the service. */
  servername: string;
  port: number;
  headers: Record<string, string>;
}

const CONNECT_TIMEOUT_MS = 30_000;

// Connections are reused: that saves a round trip for each request (two with TLS).
const direct = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
const proxied = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
const tunnels = new Map<string, https.Agent>();

/** The route to an address, by the environment. @throws UsageError where a variable is no address of an HTTP proxy. */
export function routeTo(url: URL, environment: Environment = process.env): Route {
  const proxy = proxyFor(url, environment);
  if (proxy === null) return { agent: direct[url.protocol === 'https:' ? 'https:' : 'http:'], via: null };
  if (url.protocol === 'https:') return { agent: tunnelAgent(proxy), via: null };
  const agent = proxied[proxy.protocol === 'https:' ? 'https:' : 'http:'];
  return { agent, via: { ...endOf(proxy), path: `${url.origin}${url.pathname}${url.search}` } };
}

/**
 * The proxy for an address; null where there is none. Requests to this machine never use one: the proxy would take such an
 * address for its own machine.
 *
 * @throws UsageError
 */
export function proxyFor(url: URL, environment: Environment): URL | null {
  const read = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
  const own = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const variable = read(own) === '' ? 'ALL_PROXY' : own;
  const given = read(variable).trim();
  if (given === '' || isOwn(url.hostname) || isExcepted(url, read('NO_PROXY'))) return null;
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`;
  const proxy = URL.canParse(address) ? new URL(address) : null;
  if (proxy && /^https?:$/.test(proxy.protocol) && isPercentEncoded(proxy)) return proxy;
  throw new UsageError(
    `${variable} must be the address of an HTTP proxy, such as http://proxy.example.org:3128; ` +
      'in its name and password, characters such as @ and % are written as %40 and %25.',
  );
}

function isPercentEncoded({ username, password }: URL): boolean {
  return !/%(?![\da-f]{2})/i.test(username + password);
}

/** `host:port` of the proxy for an address, without its name and password; null where there is none. */
export function proxyHostFor(address: string): string | null {
  return proxyFor(new URL(address), process.env)?.host ?? null;
}

function isOwn(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Reads NO_PROXY as curl does: `*`, or names (with all their subdomains), IP addresses, each with a port or without, and
 * networks (`10.0.0.0/8`).
 */
function isExcepted({ hostname, port, protocol }: URL, list: string): boolean {
  const host = hostname.replaceAll(/[[\]]/g, '');
  const effective = port || (protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*' || isInNetwork(host, entry)) return true;
    const match = /^(?:\*?\.)?(\[[^\]]+\]|[^:]+|[^:]*(?::[^:]*){2,})(?::(\d+))?$/.exec(entry.toLowerCase());
    const name = match?.[1]?.replaceAll(/[[\]]/g, '');
    if (!name || (match?.[2] !== undefined && match[2] !== effective)) return false;
    return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
  });
}

function isInNetwork(host: string, entry: string): boolean {
  const [, address = '', bits = ''] = /^([\d.]+|[\da-f:.]+)\/(\d{1,3})$/i.exec(entry) ?? [];
  const version = isIP(address);
  if (version === 0 || version !== isIP(host) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  const network = new BlockList();
  const family = version === 4 ? 'ipv4' : 'ipv6';
  network.addSubnet(address, Number(bits), family);
  return network.check(host, family);
}

function endOf(proxy: URL): ProxyEnd {
  const { protocol, username, password } = proxy;
  const secret = unescaped(`${username}:${password}`);
  const headers: Record<string, string> =
    username === '' ? {} : { 'Proxy-Authorization': `Basic ${secret.toString('base64')}` };
  const hostname = proxy.hostname.replaceAll(/[[\]]/g, '');
  const servername = isIP(hostname) === 0 ? hostname : '';
  return { protocol, hostname, servername, port: Number(proxy.port || (protocol === 'https:' ? 443 : 80)), headers };
}

/** The bytes of percent-encoded text; they need not be UTF-8. */
function unescaped(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16))),
    'latin1',
  );
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
  const { headers, ...end } = endOf(proxy);
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === 'https:' ? https : http).request({
      ...end,
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...headers },
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
    });
    request.once('timeout', () => request.destroy(new TransportError('stalled', 'the proxy does not answer')));
    request.once('error', reject);
    request.once('connect', (answer, socket) => {
      const { statusCode: status = 0 } = answer;
      if (status >= 200 && status <= 299) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(tunnelRefusal(proxy, status));
    });
    request.end();
  });
}

/** The error for a proxy that opens no tunnel. A refusal of the proxy itself stays one; what it cannot reach it may reach later. */
function tunnelRefusal({ host }: URL, status: number): Error {
  const what = `the proxy ${host} answered ${status}`;
  if (status < 400 || status > 499 || status === 408 || status === 429)
    return new TransportError('proxy_refused', what);
  const why = status === 407 ? `${what}: ${ASKS_FOR_NAME}` : `${what}: it lets nothing through to this address`;
  return new HopelessError('proxy_refused', why, undefined);
}
