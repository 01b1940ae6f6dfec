/** Many uploads in the page: which are on top, which are folded away, and what one wrong click costs. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOfUrl } from '../harness/make-file.ts';
import { storedNames } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  choose,
  chosen,
  CRAWL,
  file,
  findings,
  press,
  resumedFrom,
  screenshot,
  sentFrom,
  showFinished,
  startSending,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;

describeInBrowser('the order of uploads', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { MAX_FILE_SIZE: '1MiB' } });
  });
  afterAll(() => service.stop());

  function shown(page: Page): Promise<string[]> {
    return page.locator('#upload-list > li').locator('.name, :scope.fold button').allTextContents();
  }

  test('what has failed is on top, what is done is folded, and those that failed are tried again together', async () => {
    const page = await openPage(service.url);
    let isForged = true;
    await page.route('**/uploads', async (route) => {
      const headers = route.request().headers();
      const metadata = headers['upload-metadata'] ?? '';
      const name = Buffer.from(/filename ([^,]+)/.exec(metadata)?.[1] ?? '', 'base64').toString();
      if (!isForged || !name.startsWith('refused')) return route.continue();
      // The service refuses bytes that are not those that were declared.
      const other = Buffer.from('0'.repeat(32)).toString('base64');
      const forged = metadata.replace(/md5 [^,]+/, `md5 ${other}`);
      return route.continue({ headers: { ...headers, 'upload-metadata': forged } });
    });
    const good = Array.from({ length: 20 }, (_, index) =>
      chosen(`good-${index}.bin`, makeBytes(2_000 + index, 1_100 + index)),
    );
    const bad = Array.from({ length: 7 }, (_, index) =>
      chosen(`refused-${index}.bin`, makeBytes(9_000 + index, 1_130 + index)),
    );
    await choose(page, [...good, ...bad]);
    await page.locator('#summary', { hasText: /^20 done · 7 failed$/ }).waitFor();
    await expect
      .poll(() => shown(page))
      .toEqual(['refused-0.bin', 'refused-1.bin', 'refused-2.bin', 'Show 4 more', '20 done']);
    await screenshot(page, 'order-folded');
    expect(await findings(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show 4 more' }).click();
    await upload(page, 'refused-6.bin').waitFor();
    await page.getByRole('button', { name: 'Show fewer' }).press('Enter');
    await upload(page, 'refused-6.bin').waitFor({ state: 'detached' });
    // The keyboard stays where it was.
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Show 4 more');

    // What is chosen now does not stand below what was chosen before.
    await choose(page, [chosen('new.bin', makeBytes(3_000, 1_150)), chosen('new too.bin', makeBytes(3_001, 1_151))]);
    await page.locator('#summary', { hasText: /^22 done · 7 failed$/ }).waitFor();
    await showFinished(page);
    await expect
      .poll(async () => (await shown(page)).slice(3, 8))
      .toEqual(['Show 4 more', '22 done', 'new.bin', 'new too.bin', 'good-0.bin']);

    isForged = false;
    await page.getByRole('button', { name: 'Try those again' }).click();
    await page.locator('#summary', { hasText: 'All 29 uploads are done' }).waitFor();
    await page.getByRole('button', { name: 'Hide finished' }).click();
    await page.locator('#uploads').waitFor({ state: 'hidden' });
    await file(page, 'refused-6.bin').waitFor();
  });

  test('of many that wait, the latest are in sight; the list of files stays within reach', async () => {
    const page = await openPage(service.url);
    await page.context().setOffline(true);
    const old = Array.from({ length: 97 }, (_, index) =>
      chosen(`old-${index}.bin`, makeBytes(500 + index, 1_200 + index)),
    );
    await choose(page, old);
    await upload(page, 'old-0.bin').waitFor();
    await choose(page, chosen('latest.bin', makeBytes(700, 1_300)));
    await upload(page, 'latest.bin').waitFor();
    expect((await shown(page)).length).toBeLessThan(12);
    await page.context().setOffline(false);
    await page.locator('#summary', { hasText: 'All 98 uploads are done' }).waitFor({ timeout: 60_000 });
    await expect.poll(() => shown(page)).toEqual(['98 done']);
  });
});

describeInBrowser('cancelling', () => {
  test('can be undone: nothing is sent meanwhile, and it resumes from the last stored byte', async () => {
    const { service, line, big, page } = await startSending('kept.bin', 8 * MIB, 0.4, { bytesPerSecond: 2 * MIB });
    line.setSpeed(CRAWL);
    const offsets = sentFrom(page);
    await press(page, 'kept.bin', /^Cancel/);
    await upload(page, 'kept.bin').waitFor({ state: 'detached' });
    await page.getByText('Cancelled: kept.bin').first().waitFor();
    line.setSpeed(Infinity);
    expect((await storedNames(service)).filter((name) => name.startsWith('tmp_'))).toHaveLength(1);
    expect(offsets).toEqual([]);
    await page.getByRole('button', { name: 'Undo' }).press('Enter');
    await expect.poll(() => page.evaluate('document.activeElement.ariaLabel')).toMatch(/: kept\.bin$/);
    await untilStatus(page, 'kept.bin', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(MIB);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
  });

  test('is undone by choosing the file again, and carried out where the page is left', async () => {
    const { service, line, big, page } = await startSending('twice.bin', 8 * MIB, 0.4, { bytesPerSecond: 2 * MIB });
    line.setSpeed(CRAWL);
    await press(page, 'twice.bin', /^Cancel/);
    await page.getByRole('button', { name: 'Undo' }).waitFor();
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await upload(page, 'twice.bin').waitFor();
    await expect.poll(() => offsets.length).toBeGreaterThan(0);
    expect(offsets[0]).toBeGreaterThan(0);
    expect(await page.getByRole('button', { name: 'Undo' }).count()).toBe(0);

    await press(page, 'twice.bin', /^Cancel/);
    await page.getByRole('button', { name: 'Undo' }).waitFor();
    line.setSpeed(Infinity);
    // Nothing asks: there is nothing that it would interrupt.
    const asked: string[] = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.type());
      void dialog.accept();
    });
    await page.goto('about:blank');
    expect(asked).toEqual([]);
    await expect.poll(async () => (await storedNames(service)).filter((name) => name.startsWith('tmp_'))).toEqual([]);
  });
});
