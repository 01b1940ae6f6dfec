/** Hosts and address ranges in settings. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** RFC 1123 host names: labels of letters, digits and hyphens. Underscores occur in container networks. */
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** The named address ranges of proxy-addr. */
const PROXY_RANGES = ['loopback', 'linklocal', 'uniquelocal'];

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Accepts an IP address or a host name, without scheme, port or path; IPv6 with or without brackets.
 *
 * @returns the host without brackets; undefined where `text` is neither.
 */
export function parseHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (bare !== text) return isIPv6(bare) ? bare : undefined;
  return isIP(bare) !== 0 || HOST_NAME.test(bare) ? bare : undefined;
}

/** Whether a socket bound to `host` can be reached only from this machine. Names other than localhost count as public. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether proxy-addr accepts `text` as a trusted proxy: an address, a CIDR range or the name of a range. */
export function isProxyRange(text: string): boolean {
  if (PROXY_RANGES.includes(text)) return true;
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  // proxy-addr refuses the prefix 0, which would trust everyone.
  return /^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32);
}
