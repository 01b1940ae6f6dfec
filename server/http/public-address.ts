/** The address by which a client reaches the service: the base of the addresses in its answers. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import proxyaddr from 'proxy-addr';
import type { Config } from '../config/config.ts';

export type AddressOf = (request: IncomingMessage) => string;

const HOST = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** A path without empty segments; slashes at its end are dropped. */
const PREFIX = /^((?:\/[\w.~-]+)+)\/*$/;

/**
 * @param listening - returns `http://host:port` of the socket, the last resort.
 * @returns a function that finds the public base for the answer to a request, without a trailing slash: PUBLIC_URL, else
 *   what a trusted proxy forwards, else HOST, else the request's Host header.
 */
export function createAddressOf(
  config: Pick<Config, 'publicUrl' | 'host' | 'trustProxy'>,
  listening: () => string,
): AddressOf {
  const isTrusted = proxyaddr.compile([...config.trustProxy]);

  return (request) => {
    if (config.publicUrl !== null) return config.publicUrl;
    const remote = request.socket.remoteAddress;
    if (config.trustProxy.length > 0 && remote && isTrusted(remote, 0)) {
      const forwarded = readForwarded(request);
      if (forwarded) return forwarded;
    }
    const own = new URL(listening());
    if (config.host !== null)
      return `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${own.port}`;
    const called = request.headers.host;
    return called && isHost(called) ? `http://${called}` : own.origin;
  };
}

/** Reads Forwarded (RFC 7239) or the X-Forwarded headers: the first entry, which is the nearest to the client. */
function readForwarded(request: IncomingMessage): string | undefined {
  const nearest = first(request.headers['forwarded']) ?? '';
  const host = forwardedHost(request.headers) ?? request.headers.host;
  const proto = /proto=(https?)/i.exec(nearest)?.[1] ?? first(request.headers['x-forwarded-proto']) ?? 'http';
  if (!host || !isHost(host) || !/^https?$/i.test(proto)) return undefined;
  const scheme = proto.toLowerCase();
  const { origin } = new URL(`${scheme}://${withPort(host, scheme, first(request.headers['x-forwarded-port']))}`);
  const prefix = PREFIX.exec(first(request.headers['x-forwarded-prefix']) ?? '')?.[1] ?? '';
  return `${origin}${prefix}`;
}

/** The host that a proxy says was requested. Does not check whether that proxy is trusted. */
export function forwardedHost(headers: IncomingHttpHeaders): string | undefined {
  const nearest = first(headers['forwarded']) ?? '';
  return /host="?([^";,]+)/i.exec(nearest)?.[1] ?? first(headers['x-forwarded-host']);
}

/**
 * Appends the port that many proxies forward in a header of its own. Ignores the default port of the other scheme: it comes
 * from a proxy behind the one that terminated TLS.
 */
function withPort(host: string, scheme: string, port: string | undefined): string {
  const known = /:\d+$/.test(host) || port === undefined || !/^\d{1,5}$/.test(port) || Number(port) > 65_535;
  return known || port === (scheme === 'https' ? '80' : '443') ? host : `${host}:${port}`;
}

/** Whether a text is a host with or without a port. The URL parser also checks the range of the port, and IP addresses. */
function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}`);
}

function first(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header[0] : header)?.split(',')[0]?.trim();
}
