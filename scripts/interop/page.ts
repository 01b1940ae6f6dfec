/** A client that runs in a page: bundled as a developer would, opened in a real browser, on another origin than the service. */
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { chromium } from 'playwright-core';
import { build, type Rollup } from 'vite';
import { chromiumPath } from '../../test/harness/chromium.ts';

/** Calls the module's `send(endpoint)` in a page that offers the file's bytes at `/bytes`. */
export async function sendInPage(module: string, endpoint: string, path: string): Promise<void> {
  if (chromiumPath === undefined) throw new Error('there is no Chromium here');
  const files = await bundle(module);
  files.set('/bytes', await readFile(path));
  const site = createServer((request, response) => {
    const content = files.get(request.url ?? '');
    response.setHeader('Content-Type', request.url?.endsWith('.js') === true ? 'text/javascript' : 'text/html');
    response.end(content ?? '<!doctype html><title>A page of another origin</title>');
  });
  await once(site.listen(0, '127.0.0.1'), 'listening');
  const args = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const browser = await chromium.launch({ executablePath: chromiumPath, args });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
    await page.evaluate(`import('/client.js').then(({ send }) => send(${JSON.stringify(endpoint)}))`);
  } finally {
    await browser.close();
    site.close();
  }
}

async function bundle(module: string): Promise<Map<string, string | Buffer>> {
  const { output } = (await build({
    configFile: false,
    root: dirname(module),
    logLevel: 'error',
    publicDir: false,
    build: {
      write: false,
      rollupOptions: { input: module, preserveEntrySignatures: 'strict', output: { entryFileNames: 'client.js' } },
    },
  })) as Rollup.RollupOutput;
  return new Map(output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : '']));
}
