/**
 * Runs a bundled program. The build copies this file to dist/chunks/, beside the bundles: docs/decisions/0045-programs-in-few-files.md.
 * Where the build has left what V8 made of a bundle, V8 need not compile it again: most of a start was that.
 */
'use strict';
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { cachedDataVersionTag } = require('node:v8');
const { constants, Script } = require('node:vm');

/** Of the SHA-256 of source and compiled code, with which a cache begins. V8 itself compares no more than the source's length. */
const DIGEST_BYTES = 32;
const modules = new Map();

/** The file with the compiled code of a bundle, for this V8 with its flags and this processor: another has no use for it. */
function cacheOf(name) {
  return path.join(__dirname, `${name}.${cachedDataVersionTag()}.cache`);
}

function digestOf(source, compiled) {
  return createHash('sha256').update(source).update(compiled).digest();
}

/** @returns undefined where there is none, it was made of another source, or is damaged. */
function readCache(name, source) {
  let cache;
  try {
    cache = readFileSync(cacheOf(name));
  } catch {
    return undefined;
  }
  const compiled = cache.subarray(DIGEST_BYTES);
  return cache.subarray(0, DIGEST_BYTES).equals(digestOf(source, compiled)) ? compiled : undefined;
}

function compile(name) {
  const filename = path.join(__dirname, name);
  const source = readFileSync(filename);
  const text = `(function (exports, require, module, __filename, __dirname) { ${source.toString('utf8')}\n})`;
  const script = new Script(text, {
    filename,
    cachedData: readCache(name, source),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  load.onCompiled?.(name, source, script);
  return { filename, run: script.runInThisContext() };
}

function requireHere(id) {
  return id.startsWith('./') && id.endsWith('.cjs') ? load(id.slice(2)) : require(id);
}
Object.assign(requireHere, require);

/** Runs the bundle of this name, once. @returns what it exports. */
function load(name) {
  const known = modules.get(name);
  if (known) return known.exports;
  const module = { exports: {} };
  modules.set(name, module);
  const { filename, run } = compile(name);
  run.call(module.exports, module.exports, requireHere, module, filename, __dirname);
  return module.exports;
}

/** For the build: called with each script. */
load.onCompiled = undefined;
load.cacheOf = cacheOf;
load.digestOf = digestOf;
module.exports = load;
