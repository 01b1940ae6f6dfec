/** The page of a link in a real browser: both languages, small screens, without script, with a password. */
import { readFile } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedLinkJson, NewLinkJson } from '../../server/wire/links.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { bearer, json, putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { findings, screenshot } from './support.ts';

const ANNA = bearer('annas-secret-1');
const PHONE = { width: 360, height: 740 };
const DESKTOP = { width: 1_100, height: 800 };
/** One red pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
);
const LONG = `${'Protokoll der Sitzung über Gezeiten und Fluten '.repeat(4)}.md`;

describeInBrowser('the page of a link', () => {
  let service: RunningService;
  let files: string[];
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1' } });
    files = [];
    for (const [filename, bytes] of [
      ['red.png', PNG],
      [LONG, '# Ebbe\n\n<script>alert(1)</script>\n潮\n'],
      ['会议纪要（最终版）.bin', makeBytes(200_000, 7_500)],
    ] as const)
      files.push((await putFile(service.url, bytes, { filename }, ANNA)).fileId);
  });
  afterAll(() => service.stop());

  async function share(given: Partial<NewLinkJson> = {}): Promise<string> {
    const answer = await send('POST', `${service.url}/api/links`, {
      headers: { ...ANNA, 'Content-Type': 'application/json' },
      body: JSON.stringify({ files, ...given }),
    });
    return json<CreatedLinkJson>(answer).url;
  }

  async function savedBy(page: Page, link: Locator): Promise<{ name: string; bytes: Buffer }> {
    const saving = page.waitForEvent('download');
    await link.click();
    const saved = await saving;
    return { name: saved.suggestedFilename(), bytes: await readFile(await saved.path()) };
  }

  test.each([
    ['link-desktop-dark-zh', 'zh-CN', 'dark', DESKTOP, '预览'],
    ['link-phone-light-zh', 'zh-CN', 'light', PHONE, '预览'],
    ['link-phone-dark-en', 'en-GB', 'dark', PHONE, 'Preview'],
  ] as const)(
    '%s: axe-core finds nothing, and nothing is wider than the screen',
    async (name, locale, colorScheme, viewport, preview) => {
      const page = await openPage(await share({ name: 'Gezeiten 潮汐', expiresIn: 86_400 }), {
        locale,
        colorScheme,
        viewport,
      });
      expect(await page.evaluate('document.documentElement.lang')).toBe(locale === 'zh-CN' ? 'zh-Hans' : 'en');
      await screenshot(page, `${name}-1`);
      // Closed, nothing of the files is loaded.
      expect(await page.evaluate('performance.getEntriesByType("resource").length')).toBe(0);
      const closed = page.getByText(preview, { exact: true });
      expect(await closed.count()).toBe(2);
      await closed.first().click();
      await closed.last().click();
      await expect.poll(() => page.evaluate('document.querySelector("img").naturalWidth')).toBe(1);
      await page.frameLocator('iframe').getByText('<script>alert(1)</script>').waitFor();
      await screenshot(page, `${name}-2`);
      expect(await findings(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    },
  );

  test('without script: files one by one and all as a ZIP, saved by their names', async () => {
    const page = await openPage(await share({ name: 'Tides' }), { javaScriptEnabled: false });
    await page.getByText(md5(PNG)).waitFor();
    const saved = await savedBy(page, page.getByRole('link', { name: 'Download red.png' }));
    expect([saved.name, saved.bytes.equals(PNG)]).toEqual(['red.png', true]);
    const zip = await savedBy(page, page.getByRole('link', { name: 'Download all as ZIP' }));
    expect([zip.name, zip.bytes.subarray(0, 2).toString()]).toEqual(['Tides.zip', 'PK']);
    await page.getByRole('link', { name: '中文' }).click();
    await page.getByRole('heading', { name: 'Tides' }).waitFor();
    await page.getByRole('link', { name: '下载 red.png' }).waitFor();
  });

  test('a password is asked for, in the reader’s language, and opens files, previews and downloads', async () => {
    const url = await share({ files: files.slice(0, 2), password: 'Ebbe und Flut' });
    const page = await openPage(url, { locale: 'zh-CN', viewport: PHONE, javaScriptEnabled: false });
    const field = page.getByLabel('密码');
    await screenshot(page, 'link-password-zh-1');
    await field.fill('Flut und Ebbe');
    await page.getByRole('button', { name: '打开' }).click();
    await page.getByRole('alert').waitFor();
    await screenshot(page, 'link-password-zh-2');
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    await page.getByRole('link', { name: 'English' }).click();
    await page.getByLabel('Password').fill('Ebbe und Flut');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'Files for you' }).waitFor();
    await page.getByText('Preview', { exact: true }).last().click();
    await page.frameLocator('iframe').getByText('# Ebbe').waitFor();
    const saved = await savedBy(page, page.getByRole('link', { name: 'Download red.png' }));
    expect(saved.bytes.equals(PNG)).toBe(true);
  });

  test('axe-core finds nothing in the form for a password, and in what is refused; a used-up link says so', async () => {
    const form = await openPage(await share({ password: 'Ebbe und Flut' }), { viewport: PHONE });
    expect(await findings(form)).toEqual([]);
    const page = await openPage(await share({ files: files.slice(2), downloads: 1 }), { viewport: PHONE });
    await page.getByText('One download is left.').waitFor();
    const saved = await savedBy(page, page.getByRole('link', { name: /^Download / }));
    expect(saved.name).toBe('会议纪要（最终版）.bin');
    await page.reload();
    await page.getByText('used as often as it may be').waitFor();
    await screenshot(page, 'link-used-up');
    expect(await findings(page)).toEqual([]);
  });
});
