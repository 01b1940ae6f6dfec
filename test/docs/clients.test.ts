/** Runs the functions of docs/clients.md in a real browser, on a page of another origin than the service's. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build, type Rollup } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, json } from '../http/support.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { describeInBrowser, openPage } from '../web/browsers.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TOKEN = 'a-token-of-the-page';

/** Bundles the document's functions as a developer would: the files of the bundle, by path. */
async function bundle(): Promise<Map<string, string>> {
  const document = await readFile(`${ROOT}docs/clients.md`, 'utf8');
  const sources = [...document.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
  const entry = sources.map((_, index) => `export * from 'document-${index}';`).join('\n');
  const modules = new Map([['document', entry], ...sources.map((text, index) => [`document-${index}`, text] as const)]);
  const output = (await build({
    configFile: false,
    root: ROOT,
    logLevel: 'error',
    publicDir: false,
    plugins: [
      {
        name: 'document',
        enforce: 'pre',
        resolveId: (id) => (modules.has(id) ? id : null),
        load: (id) => modules.get(id) ?? null,
      },
    ],
    build: {
      write: false,
      rollupOptions: { input: 'document', preserveEntrySignatures: 'strict', output: { entryFileNames: '[name].js' } },
    },
  })) as Rollup.RollupOutput;
  return new Map(output.output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : '']));
}

interface Told {
  id: string;
  url: string;
  name?: string;
}

describeInBrowser('the functions of docs/clients.md', () => {
  let service: RunningService;
  let site: Server;
  let siteUrl: string;
  beforeAll(async () => {
    const files = await bundle();
    service = await startService({ env: { AUTH_TOKENS: `alice:${TOKEN}` } });
    site = createServer((request, response) => {
      const script = files.get(request.url ?? '');
      response.setHeader('Content-Type', script === undefined ? 'text/html' : 'text/javascript');
      response.end(script ?? '<!doctype html><title>A page of your own</title>');
    });
    await once(site.listen(0, '127.0.0.1'), 'listening');
    siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    site.close();
    await service.stop();
  });

  async function expectFile(told: Told, name: string, content: string): Promise<void> {
    expect(told.url).toBe(`${service.url}/api/files/${told.id}/content`);
    const described = await send('GET', `${service.url}/api/files/${told.id}`, { headers: bearer(TOKEN) });
    expect(json(described)['name']).toBe(name);
    expect((await send('GET', told.url, { headers: bearer(TOKEN) })).body).toBe(content);
  }

  describe.each(['', 'the tide comes in'])('with the bytes "%s"', (content) => {
    test('Uppy', async () => {
      const page = await openPage(siteUrl);
      const told = await page.evaluate<Told>(`(async () => {
        const { createUppy } = await import('/document.js');
        return new Promise((resolve, reject) => {
          const uppy = createUppy({ service: '${service.url}', getToken: () => '${TOKEN}', onFile: resolve });
          uppy.on('upload-error', (file, error) => reject(error));
          uppy.addFile({ name: '潮 ${content}.txt', type: 'text/plain', data: new File(['${content}'], 'x') });
          uppy.upload();
        });
      })()`);
      expect(told.name).toBe(`潮 ${content}.txt`);
      await expectFile(told, `潮 ${content}.txt`, content);
    });

    test('tus-js-client, and again by what it remembers', async () => {
      const page = await openPage(siteUrl);
      const sent = `(async () => {
        const { send } = await import('/document.js');
        const file = new File(['${content}'], 'tus ${content}.txt', { lastModified: 1 });
        return send(file, { service: '${service.url}', token: '${TOKEN}' });
      })()`;
      const told = await page.evaluate<Told>(sent);
      await expectFile(told, `tus ${content}.txt`, content);
      await page.reload();
      if (content !== '') expect(await page.evaluate<Told>(sent)).toEqual(told);
    });
  });
});
