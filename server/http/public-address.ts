/** Where the client finds us: the base of the addresses in an answer. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import proxyaddr from 'proxy-addr';
import type { Config } from '../config/config.ts';

export type AddressOf = (request: IncomingMessage) => string;

const HOST = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** A path without an empty part; slashes at its end are left out. */
const PREFIX = /^((?:\/[\w.~-]+)+)\/*$/;

/**
 * @param listening - `http://host:port` of the socket, where nothing else says more.
 * @returns the public base of a request's answer, without a trailing slash: PUBLIC_URL;
 *   else what a trusted proxy forwards; else HOST; else what the client called us.
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

/** RFC 7239, or the X-Forwarded headers; the entry nearest to the client. */
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

/** The name a proxy says it was called by; any proxy is believed. */
export function forwardedHost(headers: IncomingHttpHeaders): string | undefined {
  const nearest = first(headers['forwarded']) ?? '';
  return /host="?([^";,]+)/i.exec(nearest)?.[1] ?? first(headers['x-forwarded-host']);
}

/** Many proxies forward the port beside the host. One that is the other scheme's own is a leftover of where TLS ended. */
function withPort(host: string, scheme: string, port: string | undefined): string {
  const known = /:\d+$/.test(host) || port === undefined || !/^\d{1,5}$/.test(port) || Number(port) > 65_535;
  return known || port === (scheme === 'https' ? '80' : '443') ? host : `${host}:${port}`;
}

/** A port may be out of range, and a number no address, in what looks like a host. */
function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}`);
}

function first(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header[0] : header)?.split(',')[0]?.trim();
}
