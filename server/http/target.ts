/** What a request asks for (RFC 9112 section 3.2), in the one form that all routes read. */

export interface Target {
  /** A path with its query, or `*`; ASCII only. */
  path: string;
  /** Of an address in the place of a path; it counts instead of the Host header. */
  host?: string;
}

/**
 * Reads a request target. Koa's parser throws on addresses that are none, and on some
 * paths that look like one; what this returns it never does.
 *
 * @returns undefined when it is neither a path, an HTTP address nor `*`.
 */
export function readTarget(target: string): Target | undefined {
  if (target === '*') return { path: target };
  // Node hands over bytes as Latin-1: each stands for itself.
  if (target.startsWith('/')) return { path: target.replaceAll(/[^\x21-\x7e]|#/g, percentEncoded) };
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return undefined;
  const { host, pathname, search } = new URL(target);
  return { path: pathname + search, host };
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
