/** Runs a bundled program of a build, and when it ends, keeps what V8 has compiled: `node keep-code.cjs <dist> <bundle> …`. */
'use strict';
const { chmodSync, existsSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');

const [out, bundle, ...args] = process.argv.slice(2);
const load = require(path.join(out, 'chunks/load.cjs'));
const scripts = [];
load.onCompiled = (...compiled) => scripts.push(compiled);

// Code belongs to the flags with which it was compiled, and those of a start are the usual ones.
v8.setFlagsFromString = () => undefined;
process.on('exit', () => {
  for (const [name, source, script] of scripts) {
    const file = load.cacheOf(name);
    // Of a bundle that several programs share, the first one's.
    if (existsSync(file)) continue;
    const compiled = script.createCachedData();
    writeFileSync(file, Buffer.concat([load.digestOf(source, compiled), compiled]));
    // The service makes its files private.
    chmodSync(file, 0o644);
  }
});
process.argv.splice(1, process.argv.length, path.join(out, 'keep-code'), ...args);
load(`${bundle}.cjs`);
