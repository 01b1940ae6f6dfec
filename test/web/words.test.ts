/** What the page says, and how it shows names and numbers: for those who have never seen it. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { STATUSES as HTTP_STATUSES } from '../../server/http/refusals.ts';
import { STATUSES as TUS_STATUSES } from '../../server/protocols/tus/refusals.ts';
import { json, putFile } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, file, screenshot, startOwn, untilStatus, upload } from './support.ts';

const ROOT = '../../../';
const LONG =
  'Quarterly report of the harbour authority with all annexes and the third set of corrections, final (2).xlsx';
const PHONE = { width: 360, height: 740 };

async function readSource(path: string): Promise<string> {
  return readFile(fileURLToPath(new URL(ROOT + path, import.meta.url)), 'utf8');
}

test.each(['en', 'zh'])(
  'each code that the service may refuse with has a sentence of its own: %s',
  async (language) => {
    const codes = [...new Set([...HTTP_STATUSES.keys(), ...TUS_STATUSES.keys()])].toSorted();
    expect(codes.length).toBeGreaterThan(20);
    const source = await readSource(`client/web/src/refusals-${language}.ts`);
    const sentences = [...source.matchAll(/^ {2}(\w+):\s+['"](.+)['"],$/gm)];
    expect(sentences.map(([, code = '']) => code).toSorted()).toEqual(codes);
    for (const [, code, sentence = ''] of sentences) {
      if (language === 'en') expect(sentence, code).toMatch(/^[A-Z].+\.$/);
      else expect(sentence, code).toMatch(/\p{Script=Han}.*。$/u);
    }
    expect(new Set(sentences.map(([, , sentence]) => sentence)).size).toBe(codes.length);
  },
);

describeInBrowser('words', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    await putFile(service.url, makeBytes(4_000, 1_400), { filename: LONG });
    await putFile(service.url, makeBytes(1_500, 1_401), { filename: 'short.pdf' });
  });
  afterAll(() => service.stop());

  test.each([
    ['en-GB', /^There are too many unfinished uploads\. Finish or cancel some of them\. It continues by itself/],
    ['zh-CN', /^未完成的上传过多，请先完成或取消一部分。稍后自动继续/],
  ])('%s: a refusal is told in the language of the page', async (locale, words) => {
    const own = await startOwn({ env: { MAX_OPEN_UPLOADS: '1' } });
    const begun = await send('POST', `${own.url}/uploads`, {
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '1000' },
    });
    expect(begun.status).toBe(201);
    const page = await openPage(own.url, { locale });
    await choose(page, chosen('one too many.bin', makeBytes(5_000, 1_410)));
    await untilStatus(page, 'one too many.bin', words);
    await send('DELETE', begun.headers['location'] ?? '', { headers: { 'Tus-Resumable': '1.0.0' } });
    await upload(page, 'one too many.bin').and(page.locator('[data-state=done]')).waitFor();
  });

  test.each([
    ['en-GB', 'It could not be renamed. This is no longer on the service.'],
    ['zh-CN', '无法重命名。服务上已没有该内容。'],
  ])('%s: so is a refusal of a new name', async (locale, words) => {
    const { fileId } = await putFile(service.url, makeBytes(1_600, 1_402), { filename: 'fleeting.txt' });
    const page = await openPage(service.url, { locale });
    // Events would take the row away first.
    await page.route('**/api/events', () => undefined);
    await page.reload();
    await file(page, 'fleeting.txt').locator('.act.rename').click();
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    await page.keyboard.type('other');
    await page.keyboard.press('Enter');
    await page.getByText(words).waitFor();
  });

  async function isWhollyShown(page: Page, selector: string): Promise<boolean> {
    return page
      .locator(selector)
      .first()
      .evaluate((element: Box) => {
        const row = element.closest('li').getBoundingClientRect();
        const { left, right } = element.getBoundingClientRect();
        return left >= row.left && right <= row.right && element.scrollWidth <= element.clientWidth + 1;
      });
  }

  test.each([{ width: 1_100, height: 800 }, PHONE])(
    'a long name keeps its end in sight, and is whole for those who ask: %o',
    async (viewport) => {
      const page = await openPage(service.url, { viewport });
      const row = file(page, 'Quarterly');
      expect(await row.locator('.name-end').textContent()).toBe('inal (2).xlsx'.slice(1));
      expect(await isWhollyShown(page, '#file-list li:has(bdi[title^="Quarterly"]) .name-end')).toBe(true);
      expect(await row.locator('bdi').getAttribute('title')).toBe(LONG);
      expect(
        await row
          .getByRole('button', { name: `Download: ${LONG}` })
          .first()
          .isVisible(),
      ).toBe(true);
      await choose(page, chosen(`${'n'.repeat(200)} part 7.tar`, makeBytes(900, 1_420)));
      expect(await upload(page, 'part 7').locator('.name-end').textContent()).toBe(' part 7.tar');
      expect(await isWhollyShown(page, '#upload-list .name-end')).toBe(true);
      // Nothing is torn apart.
      await choose(page, chosen(`${'家'.repeat(20)}👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧.png`, makeBytes(901, 1_421)));
      await expect
        .poll(() => page.locator('.name-end', { hasText: '👨‍👩‍👧' }).first().textContent())
        .toBe('家家家家👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧.png');
    },
  );

  test('a phone is not told to drop anything', async () => {
    for (const [locale, word] of [
      ['en-GB', /drop/i],
      ['zh-CN', /拖/],
    ] as const) {
      const page = await openPage(service.url, { locale, viewport: PHONE, hasTouch: true, isMobile: true });
      await file(page, 'short.pdf').waitFor();
      expect(await page.locator('body').innerText()).not.toMatch(word);
      const desktop = await openPage(service.url, { locale });
      expect(await desktop.locator('#drop').innerText()).toMatch(word);
    }
    const empty = await openPage((await startOwn()).url, { viewport: PHONE });
    await empty.getByText('Nothing here yet. What you upload appears here.').waitFor();
  });

  test.each([
    ['en-GB', ['Download', 'Share', 'Address', 'MD5', 'Rename', 'Delete']],
    ['zh-CN', ['下载', '分享', '地址', 'MD5', '重命名', '删除']],
  ])('%s: icons have labels, to see and to hear', async (locale, labels) => {
    const page = await openPage(service.url, { locale, viewport: PHONE });
    const buttons = file(page, 'short.pdf').locator('.act');
    await buttons.first().waitFor();
    expect(await buttons.allInnerTexts()).toEqual(labels);
    for (const [index, label] of labels.entries()) {
      // The label that is seen is part of the accessible name (WCAG 2.5.3).
      const spoken = await buttons.nth(index).getAttribute('aria-label');
      expect(spoken?.toLowerCase()).toContain(label.toLowerCase());
    }
  });

  test('sizes and dates stand in columns, under heads that sort', async () => {
    const page = await openPage(service.url);
    await file(page, 'short.pdf').waitFor();
    const edges = async (selector: string, edge: 'left' | 'right'): Promise<number[]> => {
      const all = await page
        .locator(selector)
        .evaluateAll(
          (elements: Box[], side) => elements.map((one) => one.getBoundingClientRect()[side as 'left']),
          edge,
        );
      return [...new Set(all.map((one) => Math.round(one)))];
    };
    expect(await edges('#file-list .size', 'right')).toHaveLength(1);
    expect(await edges('#file-list .when', 'left')).toEqual((await edges('#by-time', 'left')).map((left) => left + 8));
    expect(await file(page, 'short.pdf').locator('time').getAttribute('datetime')).toMatch(/^\d{4}-\d\d-\d\dT/);
    await page.getByRole('button', { name: 'Size: sort by Largest first' }).click();
    await expect.poll(() => page.locator('#file-list .size').first().getAttribute('title')).toBe('4,000 bytes');
    await page.getByRole('button', { name: 'Size: sort by Smallest first' }).press('Enter');
    await expect.poll(async () => page.locator('#by-size').getAttribute('data-sorted')).toBe('asc');
    await expect.poll(() => page.locator('#file-list .size').last().getAttribute('title')).toBe('4,000 bytes');
    await screenshot(page, 'columns');
  });

  test('count and total size follow what comes and goes, here and elsewhere', async () => {
    const own = await startOwn();
    await putFile(own.url, makeBytes(1_024, 1_430), { filename: 'first.bin' });
    const page = await openPage(own.url);
    const total = page.locator('#files-total');
    await total.filter({ hasText: /^1 file · 1\.0 KiB$/ }).waitFor();
    const { fileId } = await putFile(own.url, makeBytes(2_048, 1_431), { filename: 'second.bin' });
    await total.filter({ hasText: /^2 files · 3\.0 KiB$/ }).waitFor();
    await choose(page, chosen('third.bin', makeBytes(1_024, 1_432)));
    await total.filter({ hasText: /^3 files · 4\.0 KiB$/ }).waitFor();
    await page.getByRole('button', { name: 'Delete: first.bin' }).click();
    await total.filter({ hasText: /^2 files · 3\.0 KiB$/ }).waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await total.filter({ hasText: /^3 files · 4\.0 KiB$/ }).waitFor();
    await send('DELETE', `${own.url}/api/files/${fileId}`);
    await total.filter({ hasText: /^2 files · 2\.0 KiB$/ }).waitFor();
    await page.getByLabel('Search by name').fill('third');
    await total.filter({ hasText: /^1 found$/ }).waitFor();
    expect(json<{ total: object }>(await send('GET', `${own.url}/api/files`)).total).toEqual({
      files: 2,
      bytes: 2_048,
    });
  });
});

/** As far as it is looked at in the browser. */
interface Box {
  scrollWidth: number;
  clientWidth: number;
  closest(selector: string): Box;
  getBoundingClientRect(): { left: number; right: number };
}
