/** Several files at once: selected by mouse, keyboard and touch, downloaded as one ZIP file, and deleted. */
import { readFile } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { readZip } from '../harness/zip-readers.ts';
import { bearer, json, putFile } from '../http/support.ts';
import { describeInBrowser, openForgetfulPage, openPage } from './browsers.ts';
import { file, findings, screenshot, startOwn } from './support.ts';

const ANNA = 'annas-secret-1';
const NAMES = Array.from({ length: 8 }, (_, index) => `tide ${index + 1}.txt`);

/** The newest is first: in the order of NAMES. */
async function openSorted(url: string, options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  const page = await openPage(url, options);
  await file(page, 'tide 1.txt').and(page.locator('[aria-posinset="1"]')).waitFor();
  return page;
}

function box(page: Page, name: string): Locator {
  return page.getByRole('checkbox', { name: new RegExp(`(?:Select|选择) ${name}`) });
}

async function selected(page: Page): Promise<string[]> {
  return page
    .locator('#file-list > li', { has: page.locator('input:checked') })
    .locator('button.name')
    .allTextContents();
}

/** What the browser saves. */
async function saved(page: Page, press: () => Promise<void>): Promise<{ name: string; entries: string[] }> {
  const [download] = await Promise.all([page.waitForEvent('download'), press()]);
  const archive = readZip(await readFile(await download.path()));
  return { name: download.suggestedFilename(), entries: archive.map(({ name }) => name) };
}

function packing(page: Page): () => Promise<void> {
  return () => page.getByRole('button', { name: 'Download as ZIP' }).click();
}

describeInBrowser('a selection', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    for (const [index, name] of [...NAMES.entries()].toReversed()) {
      await putFile(service.url, makeBytes(1_000 * (index + 1), 700 + index), { filename: name });
    }
  });
  afterAll(() => service.stop());

  test('by mouse: one by one, a range with Shift, all; saved as one file', async () => {
    const page = await openSorted(service.url);
    const words = page.locator('#selection-words');
    await box(page, 'tide 2').click();
    await box(page, 'tide 5').click({ modifiers: ['Shift'] });
    await expect.poll(() => selected(page)).toEqual(NAMES.slice(1, 5));
    await expect.poll(() => words.textContent()).toBe('4 selected · 13.7 KiB');
    await box(page, 'tide 3').click();
    await expect.poll(() => selected(page)).toEqual(['tide 2.txt', 'tide 4.txt', 'tide 5.txt']);
    const { name, entries } = await saved(page, packing(page));
    expect(name).toMatch(/^Tidemark \d{4}-\d\d-\d\d\.zip$/);
    expect(entries).toEqual(['tide 2.txt', 'tide 4.txt', 'tide 5.txt']);

    const all = page.getByRole('checkbox', { name: 'Select all' });
    expect(await page.evaluate("document.querySelector('#select-all').indeterminate")).toBe(true);
    await all.check();
    await expect.poll(() => selected(page)).toEqual(NAMES);
    // The same way back: a range is taken off.
    await box(page, 'tide 1').click();
    await box(page, 'tide 6').click({ modifiers: ['Shift'] });
    await expect.poll(() => selected(page)).toEqual(['tide 7.txt', 'tide 8.txt']);
    await page.getByRole('button', { name: 'Clear' }).click();
    await expect.poll(() => selected(page)).toEqual([]);
    await expect.poll(() => page.locator('#selection').isVisible()).toBe(false);
  });

  test('by keyboard: the space bar, a range with Shift, Escape; a screen reader is told', async () => {
    const page = await openSorted(service.url);
    const said = async (): Promise<string | null> => page.locator('#live').textContent();
    await box(page, 'tide 1').focus();
    await page.keyboard.press('Space');
    await expect.poll(said).toBe('1 selected · 1,000 B');
    await box(page, 'tide 3').focus();
    await page.keyboard.press('Shift+Space');
    await expect.poll(() => selected(page)).toEqual(NAMES.slice(0, 3));
    await page.keyboard.press('Escape');
    await expect.poll(() => selected(page)).toEqual([]);
    await expect.poll(said).toBe('Nothing is selected');
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Download as ZIP' }).focus();
    expect((await saved(page, () => page.keyboard.press('Enter'))).entries).toEqual(['tide 3.txt']);
  });

  test.each([
    ['phone-zh', { locale: 'zh-CN', viewport: { width: 360, height: 740 }, hasTouch: true, colorScheme: 'light' }],
    ['phone-en', { locale: 'en-GB', viewport: { width: 360, height: 740 }, hasTouch: true, colorScheme: 'dark' }],
    ['desktop-en', { locale: 'en-GB', viewport: { width: 1_100, height: 800 }, hasTouch: true, colorScheme: 'light' }],
    ['desktop-zh', { locale: 'zh-CN', viewport: { width: 1_100, height: 800 }, hasTouch: true, colorScheme: 'dark' }],
  ] as const)('by touch, %s: axe-core finds nothing, and nothing is wider than the screen', async (name, options) => {
    const page = await openSorted(service.url, options);
    const place = (): Promise<unknown> =>
      page.evaluate("document.querySelector('#file-list > li:nth-child(4)').getBoundingClientRect().top + scrollY");
    const before = await place();
    expect(before).toBeGreaterThan(100);
    await page.locator('#file-list > li .pick-box').nth(1).tap();
    await page.locator('#file-list > li .pick-box').nth(3).tap();
    await expect.poll(() => selected(page)).toEqual(['tide 2.txt', 'tide 4.txt']);
    // What comes up moves no row away under the finger.
    expect(await place()).toBe(before);
    await expect.poll(() => page.locator('#selection').isVisible()).toBe(true);
    await screenshot(page, `selection-${name}`);
    expect(await findings(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    const touched = await page.locator('#file-list > li .pick-box').first().boundingBox();
    expect([touched?.width, touched?.height]).toEqual([44, 44]);
  });

  test('a search ends it, and files that are deleted elsewhere leave it', async () => {
    const page = await openSorted(service.url);
    const { fileId } = await putFile(service.url, 'fleeting', { filename: 'tide 0.txt' });
    await box(page, 'tide 0').click();
    await box(page, 'tide 1').click();
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    await expect.poll(() => page.locator('#selection-words').textContent()).toBe('1 selected · 1,000 B');
    await page.getByRole('searchbox').fill('tide 7');
    await file(page, 'tide 1.txt').waitFor({ state: 'detached' });
    await expect.poll(() => page.locator('#selection').isVisible()).toBe(false);
  });

  test('is deleted together, and undone together', async () => {
    const page = await openSorted(service.url);
    await box(page, 'tide 1').click();
    await box(page, 'tide 3').click({ modifiers: ['Shift'] });
    const bar = page.locator('#selection');
    await bar.getByRole('button', { name: 'Delete' }).click();
    await file(page, 'tide 1.txt').waitFor({ state: 'detached' });
    expect(await bar.isVisible()).toBe(false);
    await page.locator('#toasts').getByText('3 files deleted').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await file(page, 'tide 3.txt').waitFor();
    expect(await page.locator('#file-list > li').count()).toBe(NAMES.length);

    const more = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        return (await putFile(service.url, `gone ${index}`, { filename: `gone ${index}.txt` })).fileId;
      }),
    );
    await page.getByRole('searchbox').fill('gone');
    await page.getByText('30 found').waitFor();
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await bar.getByRole('button', { name: 'Delete' }).click();
    await page.locator('#toasts').getByText('30 files deleted').waitFor();
    await page.mouse.move(0, 0);
    const left = async (): Promise<number> =>
      json<{ files: unknown[] }>(await send('GET', `${service.url}/api/files?search=gone`)).files.length;
    await expect.poll(left, { timeout: 30_000 }).toBe(0);
    expect(more).toHaveLength(30);
  });

  test('of more files than an address has room for is saved, too; where one is gone, the page stays and says so', async () => {
    const own = await startOwn();
    const ids: string[] = [];
    for (let index = 0; index < 60; index++) {
      ids.push((await putFile(own.url, `bytes ${index}`, { filename: `many ${index}.txt` })).fileId);
    }
    const page = await openPage(own.url);
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await page.locator('#selection-words').getByText('60 selected').waitFor();
    expect((await saved(page, packing(page))).entries).toHaveLength(60);

    await page.route('**/api/events', (route) => route.abort());
    await page.reload();
    await page.getByRole('checkbox', { name: 'Select many 59.txt' }).check();
    await send('DELETE', `${own.url}/api/files/${ids[59]}`);
    await page.getByRole('button', { name: 'Download as ZIP' }).click();
    await page
      .locator('#toasts')
      .getByText('The ZIP file could not be downloaded. This is no longer on the service.')
      .waitFor();
    expect(new URL(page.url()).pathname).toBe('/');
  });

  test('behind a token is saved by the browser itself; and by the page, where the browser takes no cookie', async () => {
    const own = await startOwn({ env: { AUTH_TOKENS: `anna:${ANNA}` } });
    await putFile(own.url, 'for anna', { filename: 'anna.txt' }, bearer(ANNA));
    for (const page of [await openPage(own.url), await openForgetfulPage(own.url)]) {
      await page.getByLabel('Token', { exact: true }).fill(ANNA);
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.getByRole('checkbox', { name: 'Select anna.txt' }).check();
      expect((await saved(page, packing(page))).entries).toEqual(['anna.txt']);
    }
  });
});
