// Bundles each program into few files instead of some hundred modules, so that it starts in half the time. A bundle replaces
// the compiled entry; the other compiled modules stay for tests and scripts, which import them one by one.
import { chmodSync } from 'node:fs';
import { dirname, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { PROGRAMS } from './programs.mjs';

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
    renderChunk(code, { fileName }) {
      if (!code.includes('__compiledAt(')) return null;
      const here = dirname(fileName);
      return {
        code: code.replaceAll(ORIGIN, (_, path) => `new URL("${posix.relative(here, path)}", import.meta.url).href`),
        map: null,
      };
    },
  };
}

await build({
  input: Object.fromEntries(PROGRAMS.map((entry) => [entry, `${ROOT}${entry}.ts`])),
  platform: 'node',
  // depd, which names deprecated functions, uses eval.
  checks: { eval: false },
  // better-sqlite3 loads its native module from its own folder; pg-native is not installed.
  external: ['better-sqlite3', 'pg-native'],
  plugins: [originsKept()],
  output: {
    dir: OUT,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // Beside the bundle, and not named in it: Node would read it at each start, and small files took a tenth longer.
    sourcemap: 'hidden',
  },
});

// npm makes a command executable when it links it, which npx does once: a build after that makes a new file.
chmodSync(`${OUT}/client/cli/main.js`, 0o755);
