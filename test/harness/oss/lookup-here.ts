import type { LookupFunction } from 'node:net';

/** Resolves every name to the loopback address; for the `lookup` of an agent or a request. */
export const lookupHere: LookupFunction = (_hostname, options, callback) => {
  if (typeof options === 'object' && options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

/** The module that makes a whole process resolve the names of OSS to loopback. */
export const RESOLVE_HERE = new URL('resolve-here.js', import.meta.url).href;
