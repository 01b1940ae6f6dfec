/**
 * Preloaded into a process, resolves the names of OSS and of `.test` to loopback, so that a real
 * service reaches the double: `NODE_OPTIONS: --import=${RESOLVE_HERE}`.
 */
import dns from 'node:dns';
import { lookupHere } from './lookup-here.ts';

const lookup = dns.lookup;

function lookupNames(hostname: string, ...rest: unknown[]): void {
  if (!/\.(?:aliyuncs\.com|test)$/.test(hostname)) {
    Reflect.apply(lookup, dns, [hostname, ...rest]);
    return;
  }
  const [options, callback] = rest.length > 1 ? rest : [{}, rest[0]];
  // dns.lookup never calls back synchronously.
  queueMicrotask(() => Reflect.apply(lookupHere, undefined, [hostname, options, callback]));
}

dns.lookup = lookupNames as typeof dns.lookup;
