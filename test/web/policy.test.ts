/** Uploaded files never run as script in the page, whatever they are called. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { putFile } from '../http/support.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, file, untilStatus } from './support.ts';

describeInBrowser('scripts', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  test('a file is neither a script, nor a module, a style or a worker of the page', async () => {
    const script = await putFile(service.url, 'self.ran = true; self.postMessage?.("ran");', { filename: 'evil.js' });
    const style = await putFile(service.url, 'body { --ran: yes }', { filename: 'evil.css' });
    const page = await openPage(service.url, {}, /^Loading the (?:script|stylesheet) '\S+\/files\//);
    await file(page, 'evil.js').waitFor();
    const outcomes = await page.evaluate(`(async () => {
      const add = (tag, properties) => new Promise((resolve) => {
        const element = Object.assign(document.createElement(tag), properties);
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('refused');
        document.head.append(element);
      });
      const worker = (options) => new Promise((resolve) => {
        const made = new Worker(${JSON.stringify(script.url)}, options);
        made.onmessage = () => resolve('loaded');
        made.onerror = () => resolve('refused');
      });
      return [
        await add('script', { src: ${JSON.stringify(script.url)} }),
        await add('script', { src: ${JSON.stringify(script.url)}, type: 'module' }),
        await add('link', { href: ${JSON.stringify(style.url)}, rel: 'stylesheet' }),
        await worker({}),
        await worker({ type: 'module' }),
        String(self.ran),
      ];
    })()`);
    expect(outcomes).toEqual(['refused', 'refused', 'refused', 'refused', 'refused', 'undefined']);
    // Its own worker runs all the same.
    await choose(page, chosen('own.bin', Buffer.from('digested in a worker')));
    await untilStatus(page, 'own.bin', /^Done, verified/);
  });
});
