/** Texts that are looked at in the page: as characters, and never all of a large one. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { putFile } from '../http/support.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file, findings, screenshot } from './support.ts';

const LINE = 'the tide comes in, and the tide goes out\n';
const LARGE = LINE.repeat(100_000);
const SHOWN_BYTES = 128 * 1024;

describeInBrowser('a look at a text', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    const files: [string, string | Buffer][] = [
      ['notes.txt', 'high water at noon\nlow water at six\n'],
      ['潮汐.md', '# 潮汐\n涨潮，落潮。'],
      ['Makefile', 'all:\n\techo flood\n'],
      ['page.html', '<script>document.title = "ran"</script><img src=x onerror="document.title=1"><b>bold</b>'],
      ['drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = "ran"</script></svg>'],
      ['module.ts', 'export const tide = 1;\n'],
      ['gbk.txt', Buffer.from([0xb3, 0xb1, 0xcf, 0xab, 0x0a])],
      ['windows.txt', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('ebb and flood', 'utf16le')])],
      ['empty.log', ''],
      ['not really.txt', Buffer.from([0x50, 0x4b, 0x03, 0x04, 0x00, 0x00, 0x08])],
      ['large.log', LARGE],
    ];
    for (const [filename, bytes] of files) await putFile(service.url, bytes, { filename });
  });
  afterAll(() => service.stop());

  async function look(page: Page, name: string): Promise<void> {
    await page.getByRole('button', { name: `Preview ${name}` }).click();
    await page.locator('#preview[open]').waitFor();
  }

  async function shown(page: Page, name: string): Promise<string | null> {
    await look(page, name);
    const text = await page.getByRole('region', { name: `Text of ${name}` }).textContent();
    await page.keyboard.press('Escape');
    return text;
  }

  test('texts of any kind are shown as they are, and nothing of them runs', async () => {
    const page = await openPage(service.url);
    await file(page, 'notes.txt').waitFor();
    expect(await shown(page, 'notes.txt')).toBe('high water at noon\nlow water at six\n');
    expect(await shown(page, '潮汐.md')).toBe('# 潮汐\n涨潮，落潮。');
    expect(await shown(page, 'Makefile')).toBe('all:\n\techo flood\n');
    expect(await shown(page, 'module.ts')).toBe('export const tide = 1;\n');
    expect(await shown(page, 'gbk.txt')).toBe('潮汐\n');
    expect(await shown(page, 'windows.txt')).toBe('ebb and flood');
    for (const name of ['page.html', 'drawing.svg']) {
      await look(page, name);
      await page.locator('#preview pre', { hasText: '<script>document.title' }).waitFor();
      expect(await page.locator('#preview :is(pre *, b, svg, script, iframe)').count()).toBe(0);
      await page.keyboard.press('Escape');
    }
    expect(await page.title()).toBe('Tidemark');
    await look(page, 'empty.log');
    await page.getByText('The file is empty.').waitFor();
    await page.keyboard.press('Escape');
    await look(page, 'not really.txt');
    await page.getByText('The browser cannot show this file. Download it instead.').waitFor();
  });

  test.each([
    ['light', { width: 1_100, height: 800 }],
    ['dark', { width: 360, height: 740 }],
  ] as const)('of a large one the beginning is fetched, and the page says so: %s', async (colorScheme, viewport) => {
    const page = await openPage(service.url, { colorScheme, viewport });
    await file(page, 'large.log').waitFor();
    const answered = page.waitForResponse((response) => response.url().includes('/content'));
    await look(page, 'large.log');
    const answer = await answered;
    expect(answer.status()).toBe(206);
    expect(Number(answer.headers()['content-length'])).toBe(SHOWN_BYTES);
    const text = page.getByRole('region', { name: 'Text of large.log' });
    expect(await text.textContent()).toBe(LARGE.slice(0, SHOWN_BYTES));
    await page.getByText('Only the first 128 KiB of 3.9 MiB are shown.').waitFor();
    // By the keyboard, too.
    await text.focus();
    await page.keyboard.press('PageDown');
    await expect.poll(() => text.evaluate((element: { scrollTop: number }) => element.scrollTop)).toBeGreaterThan(0);
    expect(await findings(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    await screenshot(page, `text-${colorScheme}`);
  });

  test('whatever answers with the whole of it, no more is read', async () => {
    const page = await openPage(service.url);
    await file(page, 'large.log').waitFor();
    await page.route('**/content?direct', (route) => {
      const { range: _, ...headers } = route.request().headers();
      return route.continue({ headers });
    });
    await look(page, 'large.log');
    const text = await page.getByRole('region', { name: 'Text of large.log' }).textContent();
    expect(text).toBe(LARGE.slice(0, SHOWN_BYTES));
  });

  test('one that is gone is reported in words', async () => {
    const { fileId } = await putFile(service.url, 'soon gone', { filename: 'soon gone.txt' });
    const page = await openPage(service.url);
    await page.route('**/api/events', () => undefined);
    await page.reload();
    await file(page, 'soon gone.txt').waitFor();
    await fetch(`${service.url}/api/files/${fileId}`, { method: 'DELETE' });
    await look(page, 'soon gone.txt');
    await page.getByText('This is no longer on the service.').waitFor();
  });
});
