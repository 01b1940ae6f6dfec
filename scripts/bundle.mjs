// Bundles each program into few files instead of some hundred modules, so that it starts in half the time. A bundle replaces
// the compiled entry; the other compiled modules stay for tests and scripts, which import them one by one.
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { makeCodeCache } from './code-cache.mjs';
import { bundleOf, PROGRAMS } from './programs.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = `${ROOT}dist`;

/** `import.meta.url` keeps the value that it has in the compiled module, whichever file the bundler puts the module into. */
const ORIGIN = /__compiledAt\("([^"]+)"\)/g;

function originsKept() {
  return {
    name: 'origins-kept',
    transform: {
      filter: { id: /^(?!.*node_modules).*\.ts$/, code: /import\.meta\.url/ },
      handler(code, id) {
        const path = relative(ROOT, id).split(sep).join('/').replace(/\.ts$/, '.js');
        return { code: code.replaceAll('import.meta.url', `__compiledAt("${path}")`), map: null };
      },
    },
    renderChunk(code) {
      if (!code.includes('__compiledAt(')) return null;
      const here = 'require("node:url").pathToFileURL(__filename)';
      return {
        code: code.replaceAll(ORIGIN, (_, path) => `new URL("${posix.relative('chunks', path)}", ${here}).href`),
        map: null,
      };
    },
  };
}

/** The programs await at their top; what V8 may keep compiled is no module, and cannot. */
function awaitedWithin() {
  const entries = new Set(PROGRAMS.map((entry) => `${ROOT}${entry}.ts`));
  return {
    name: 'awaited-within',
    transform: {
      filter: { id: /\.ts$/ },
      handler(code, id) {
        if (!entries.has(id)) return null;
        const imports = [];
        const rest = code.replace(/^#!.*\n/, '').replaceAll(/^import\b[^;]*;\n/gm, (found) => {
          imports.push(found);
          return '';
        });
        return { code: `${imports.join('')}(async () => {\n${rest}\n})();\n`, map: null };
      },
    },
  };
}

await build({
  input: Object.fromEntries(PROGRAMS.map((entry) => [bundleOf(entry), `${ROOT}${entry}.ts`])),
  platform: 'node',
  // depd, which names deprecated functions, uses eval.
  checks: { eval: false },
  // better-sqlite3 loads its native module from its own folder; pg-native is not installed.
  external: ['better-sqlite3', 'pg-native'],
  plugins: [originsKept(), awaitedWithin()],
  output: {
    dir: `${OUT}/chunks`,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
    // Beside the bundle, and not named in it: Node would read it at each start, and small files took a tenth longer.
    sourcemap: 'hidden',
  },
});

copyFileSync(`${ROOT}scripts/load.cjs`, `${OUT}/chunks/load.cjs`);
for (const entry of PROGRAMS) {
  const [first = ''] = readFileSync(`${ROOT}${entry}.ts`, 'utf8').split('\n', 1);
  const loader = posix.relative(posix.dirname(entry), 'chunks/load.cjs');
  writeFileSync(
    `${OUT}/${entry}.js`,
    `${first.startsWith('#!') ? `${first}\n` : ''}import { createRequire } from 'node:module';\n` +
      `createRequire(import.meta.url)('${loader}')('${bundleOf(entry)}.cjs');\n`,
  );
}

// npm makes a command executable when it links it, which npx does once: a build after that makes a new file.
chmodSync(`${OUT}/client/cli/main.js`, 0o755);
await makeCodeCache(OUT);
