/** Reads a request's target (RFC 9112 section 3.2), in its various forms, into the one form that the routes use. */

export interface Target {
  /** A path with its query, or `*`; ASCII only. */
  path: string;
  /** Host of a target that is a whole address: it replaces the Host header. */
  host?: string;
}

/**
 * Reads a request target. Koa's parser throws on invalid addresses, and on some paths that
 * look like one; it never throws on what this returns.
 *
 * @returns undefined when it is neither a path, an HTTP address nor `*`.
 */
export function readTarget(target: string): Target | undefined {
  if (target === '*') return { path: target };
  // Node decodes the target as Latin-1: each character is one byte.
  if (target.startsWith('/')) return { path: target.replaceAll(/[^\x21-\x7e]|#/g, percentEncoded) };
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return undefined;
  const { host, pathname, search } = new URL(target);
  return { path: pathname + search, host };
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
