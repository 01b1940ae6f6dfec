/**
 * A service without tokens answers to its own names alone. A page whose name is made to point
 * here (DNS rebinding) is of the same origin as the service to its browser, and could read and
 * delete everything. See docs/decisions/0025-names-without-tokens.md.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Refusal } from '../refusal.ts';
import { refusal } from './refusals.ts';
import { forwardedHost } from './public-address.ts';
import type { Handler } from './state.ts';

/** Supervisors and load balancers call these by names of their own; they tell nothing of files and change nothing. */
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
 * What the client has called the service. Both count: a page can send any X-Forwarded-Host to a
 * service that it reaches past the proxy, but no other Host than its own.
 */
function namesOf({ headers }: IncomingMessage, expectsProxy: boolean): string[] {
  // A request of HTTP/1.0 may have none; no browser sends one.
  return [headers.host, expectsProxy ? forwardedHost(headers) : undefined].filter((name) => name !== undefined);
}

/** An address cannot be made to point elsewhere, nor can a name that every browser keeps for its own machine (RFC 6761 section 6.3). */
function createIsOurs({ host, listen, publicUrl }: Known): (called: string) => boolean {
  const own = new Set([host, listen, publicUrl && new URL(publicUrl).hostname].map((name) => bare(name ?? '')));
  /** Nearly all requests come by one name. */
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
