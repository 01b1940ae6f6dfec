/** Sharing from the page: a link to a file or to a selection, its address shown once, the list of links, and revoking. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SharedJson } from '../../server/wire/links.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json, putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file, findings, screenshot } from './support.ts';

const PHONE = { width: 360, height: 740 };
const LONG = `${'A name that is much longer than the screen is wide '.repeat(3)}.pdf`;

describeInBrowser('sharing', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    for (const [index, filename] of ['tides.txt', '会议纪要.pdf', LONG].entries())
      await putFile(service.url, makeBytes(3_000, 7_700 + index), { filename });
  });
  afterAll(() => service.stop());

  async function madeAddress(page: Page): Promise<string> {
    const field = page.locator('#share-address');
    await field.waitFor();
    return field.inputValue();
  }

  async function shared(address: string): Promise<SharedJson> {
    const answer = await send('GET', address);
    expect(answer.status, answer.body).toBe(200);
    return json<SharedJson>(answer);
  }

  test('a file: the link has what was chosen, its address is there once, and can be copied', async () => {
    const page = await openPage(service.url, { permissions: ['clipboard-read', 'clipboard-write'] });
    await file(page, 'tides.txt').getByRole('button', { name: 'Share: tides.txt' }).click();
    await page.getByRole('heading', { name: 'Share: tides.txt' }).waitFor();
    await page.getByLabel('The link works for').selectOption('1 day');
    await page.getByLabel('Number of downloads').fill('2');
    await page.getByLabel(/^Password/).fill('short');
    await page.getByRole('button', { name: 'Make a link' }).click();
    // The browser itself says that it is too short.
    expect(await page.locator('#share-password:invalid').count()).toBe(1);
    await page.getByLabel(/^Password/).fill('');
    await page.getByRole('button', { name: 'Make a link' }).click();
    const address = await madeAddress(page);
    await page.getByText('The address is copied.').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(address);
    const { files, downloadsLeft, expiresAt } = await shared(address);
    expect([files.map(({ name }) => name), downloadsLeft]).toEqual([['tides.txt'], 2]);
    const leftMs = Date.parse(expiresAt ?? '') - Date.now();
    expect(leftMs).toBeGreaterThan(23 * 3_600_000);
    expect(leftMs).toBeLessThanOrEqual(24 * 3_600_000 + 60_000);
    await page.locator('#share-close').click();
    await expect.poll(() => page.locator('#share-address').inputValue()).toBe('');
  });

  test('a password of the dialog is the password of the link', async () => {
    const page = await openPage(service.url);
    await file(page, '会议纪要.pdf').locator('.act.share').click();
    await page.getByLabel(/^Password/).fill('Ebbe und Flut');
    await page.getByRole('button', { name: 'Make a link' }).click();
    const address = await madeAddress(page);
    expect((await send('GET', address)).code).toBe('password_required');
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams({ password: 'Ebbe und Flut' }).toString();
    expect((await send('POST', address, { headers, body })).status).toBe(303);
  });

  test('a selection, and the list of links: used, and revoked by the keyboard', async () => {
    const page = await openPage(service.url);
    await file(page, 'tides.txt').locator('input.pick').click();
    await file(page, '会议纪要.pdf').locator('input.pick').click();
    await page.locator('#selection-share').click();
    await page.getByRole('heading', { name: 'Share: 2 files' }).waitFor();
    await page.getByRole('button', { name: 'Make a link' }).click();
    const address = await madeAddress(page);
    const { files } = await shared(address);
    expect(files).toHaveLength(2);
    await send('GET', files[0]?.url ?? '');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Links', exact: true }).click();
    const row = page.locator('#links-list li').first();
    await row.getByText('1 download ·').waitFor();
    expect(await row.textContent()).toContain('Works');
    await row.getByRole('button').focus();
    await page.keyboard.press('Enter');
    await row.getByText('Revoked').waitFor();
    await page.getByText(/^Revoked: /).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('links-close');
    expect((await send('GET', address)).status).toBe(404);
  });

  test('a folder, and a selection with one: what comes later is in the link; its pages lead through the tree', async () => {
    for (const filename of ['trip/day 1/dawn.txt', 'trip/notes.txt', 'map.txt'])
      await putFile(service.url, `bytes of ${filename}`, { filename });
    const page = await openPage(service.url);
    await page.getByRole('button', { name: 'Share: folder trip' }).click();
    await page.getByRole('heading', { name: 'Share: trip' }).waitFor();
    await page.getByText('What is put into a folder later').waitFor();
    await page.getByRole('button', { name: 'Make a link' }).click();
    const address = await madeAddress(page);
    await page.keyboard.press('Escape');
    await page.getByRole('checkbox', { name: 'Select folder trip' }).click();
    await page.getByRole('checkbox', { name: 'Select map.txt' }).click();
    await page.locator('#selection-share').click();
    await page.getByRole('heading', { name: 'Share: 2 entries' }).waitFor();
    await page.getByRole('button', { name: 'Make a link' }).click();
    const both = await shared(await madeAddress(page));
    expect([both.folders.map(({ name }) => name), both.files.map(({ name }) => name)]).toEqual([['trip'], ['map.txt']]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Links', exact: true }).click();
    await page.locator('#links-list bdi').getByText('trip', { exact: true }).first().waitFor();

    await putFile(service.url, 'later', { filename: 'trip/day 2/later.txt' });
    for (const options of [
      { locale: 'en-GB', viewport: PHONE },
      { locale: 'zh-CN', viewport: { width: 1_000, height: 760 } },
    ]) {
      const visitor = await openPage(address, options);
      await visitor.getByRole('heading', { name: 'trip', level: 1 }).waitFor();
      const look = async (part: string): Promise<void> => {
        await screenshot(visitor, `shared-folder-${options.locale}-${part}`);
        expect(await findings(visitor), part).toEqual([]);
        expect(await visitor.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
      };
      await look('1-link');
      await visitor.getByRole('link', { name: /^(?:Open folder|打开文件夹) trip$/ }).click();
      await visitor.getByRole('heading', { name: 'notes.txt' }).waitFor();
      await look('2-level');
      await visitor.getByRole('link', { name: /day 2$/ }).click();
      const [download] = await Promise.all([
        visitor.waitForEvent('download'),
        visitor.getByRole('link', { name: /later\.txt$/ }).click(),
      ]);
      expect(download.suggestedFilename()).toBe('later.txt');
      await look('3-deep');
      await visitor.getByRole('navigation').getByRole('link', { name: 'trip' }).click();
      await visitor.getByRole('heading', { name: 'notes.txt' }).waitFor();
    }
  });

  test('a refusal is told in the dialog, and nothing is lost', async () => {
    const page = await openPage(service.url);
    await page.route('**/api/links', (route) => route.fulfill({ status: 503, body: '{}' }), { times: 1 });
    await file(page, 'tides.txt').locator('.act.share').click();
    await page.getByLabel('Number of downloads').fill('3');
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.getByText(/^The link could not be made\. /).waitFor();
    await page.getByRole('button', { name: 'Make a link' }).click();
    expect((await shared(await madeAddress(page))).downloadsLeft).toBe(3);
  });

  test.each([
    ['share-phone-light-zh', { locale: 'zh-CN', colorScheme: 'light', viewport: PHONE }],
    ['share-desktop-dark-en', { locale: 'en-GB', colorScheme: 'dark', viewport: { width: 1_000, height: 760 } }],
  ] as const)('%s: axe-core finds nothing, and nothing is wider than the screen', async (name, options) => {
    const page = await openPage(service.url, options);
    const fits = async (step: string): Promise<void> => {
      await screenshot(page, `${name}-${step}`);
      expect(await findings(page), step).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), step).toBeLessThanOrEqual(0);
    };
    await page.locator('.act.share').first().waitFor();
    await screenshot(page, `${name}-0`);
    await page.locator('.act.share').first().click();
    await fits('1-form');
    await page.locator('#share-make').click();
    await madeAddress(page);
    await fits('2-made');
    await page.keyboard.press('Escape');
    await page.locator('#links-open').click();
    await page.locator('#links-list li').first().waitFor();
    await fits('3-links');
  });
});
