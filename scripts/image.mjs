// Copies the files that an image needs into a folder: the bundled programs, the page, and the one native module. The
// Dockerfile runs it after the build. `node scripts/image.mjs <folder>`
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROGRAMS } from './programs.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const PATHS = [
  'package.json',
  'LICENSE',
  ...PROGRAMS.map((program) => `dist/${program}.js`),
  'dist/client/web/index.html',
  'dist/client/web/assets',
  'dist/chunks',
  // What scripts/bundle.mjs does not bundle, and its dependencies.
  'node_modules/better-sqlite3/package.json',
  'node_modules/better-sqlite3/LICENSE',
  'node_modules/better-sqlite3/lib',
  'node_modules/better-sqlite3/build/Release/better_sqlite3.node',
  'node_modules/bindings',
  'node_modules/file-uri-to-path',
];

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('node scripts/image.mjs <folder>');
if (!readFileSync(join(ROOT, 'dist/server/main.js'), 'utf8').includes('chunks/load.cjs')) {
  throw new Error('dist/server/main.js is no bundle: npm run build');
}
for (const path of PATHS) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  cpSync(join(ROOT, path), join(folder, path), { recursive: true });
}
