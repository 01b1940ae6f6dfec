/**
 * A service without tokens answers only requests for its own names. Otherwise an attacker could point the name of a page at
 * the service (DNS rebinding): for the browser, both have the same origin, and the page could read and delete everything.
 * See docs/decisions/0025-names-without-tokens.md.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Refusal } from '../refusal.ts';
import { refusal } from './refusals.ts';
import { forwardedHost } from './public-address.ts';
import type { Handler } from './state.ts';

/** Supervisors and load balancers request these by names of their own. They reveal nothing of files, and change nothing. */
const OPEN = new Set(['/healthz', '/readyz']);

type Known = Pick<Config, 'access' | 'host' | 'listen' | 'publicUrl' | 'trustProxy'>;

/** Refuses requests for other names with `unknown_host`, where there are no tokens. */
export function knownHosts(config: Known): Handler {
  const isOurs = createIsOurs(config);
  const expectsProxy = config.publicUrl !== null || config.trustProxy.length > 0;

  return async (ctx, next) => {
    if (config.access.tokens.length === 0 && !OPEN.has(ctx.path)) {
      const called = namesOf(ctx.req, expectsProxy).find((name) => !isOurs(name));
      if (called !== undefined) throw refusalOf(called);
    }
    await next();
  };
}

/**
 * The names by which the client addresses the service. Both have to be known: a page that reaches the service past the proxy
 * can send any X-Forwarded-Host, but no other Host than its own.
 */
function namesOf({ headers }: IncomingMessage, expectsProxy: boolean): string[] {
  // Only a request of HTTP/1.0 may lack the Host, and no browser sends such a request.
  return [headers.host, expectsProxy ? forwardedHost(headers) : undefined].filter((name) => name !== undefined);
}

/**
 * Makes the check whether a name is the service's own. IP addresses always pass, and so do names that browsers resolve to
 * their own machine (RFC 6761 section 6.3): nobody can point either of them elsewhere.
 */
function createIsOurs({ host, listen, publicUrl }: Known): (called: string) => boolean {
  const own = new Set([host, listen, publicUrl && new URL(publicUrl).hostname].map((name) => bare(name ?? '')));
  /** The latest name that passed: nearly all requests have the same one. */
  let latest: string | undefined;

  function isOurs(called: string): boolean {
    if (!URL.canParse(`http://${called}`)) return false;
    const name = bare(new URL(`http://${called}`).hostname);
    return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || own.has(name);
  }

  return (called) => {
    if (called !== latest && !isOurs(called)) return false;
    latest = called;
    return true;
  };
}

function bare(name: string): string {
  return name
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

function refusalOf(called: string): Refusal {
  const shown = /^[\w.:[\]-]{1,100}$/.test(called) ? `the name ${called}` : 'that name';
  return refusal('unknown_host', {
    field: 'Host',
    message:
      `Without tokens this service does not answer to ${shown}: ` +
      'call it by its address, set HOST or PUBLIC_URL to that name, or set AUTH_TOKENS.',
  });
}
