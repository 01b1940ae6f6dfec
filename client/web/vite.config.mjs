import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

const OUT = fileURLToPath(new URL('../../dist/client/web/', import.meta.url));

/** Writes compressed forms beside each asset: the service sends them as they are. */
function compressedAssets() {
  return {
    name: 'compressed-assets',
    closeBundle() {
      for (const name of readdirSync(`${OUT}assets`)) {
        const bytes = readFileSync(`${OUT}assets/${name}`);
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
        writeFileSync(`${OUT}assets/${name}.br`, brotliCompressSync(bytes, { params }));
        writeFileSync(`${OUT}assets/${name}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative: the service replaces `./` with its own path.
  base: './',
  publicDir: false,
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: 'es2022',
    // An inlined asset is a data: address, which the page's policy does not allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The page, and that of an upload link.
    rollupOptions: { input: ['index.html', 'send.html'].map((name) => fileURLToPath(new URL(name, import.meta.url))) },
  },
  worker: { format: 'es' },
  plugins: [compressedAssets()],
});
