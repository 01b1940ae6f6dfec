/** Quotas in the page: a line with what there is, which follows what happens, and a file for which there is no room. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, send } from '../harness/tus.ts';
import { bearer, putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, file, findings, makeFile, press, screenshot, startOwn, untilStatus } from './support.ts';

const KIB = 1024;

describeInBrowser('a quota', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { TRASH_TTL: '7d', QUOTA_BYTES: '100KiB', QUOTA_FILES: '50' } });
  });
  afterAll(() => service.stop());

  test('is shown and kept up to date; what does not fit fails, and goes through once there is room', async () => {
    const { fileId } = await putFile(service.url, makeBytes(60 * KIB, 9_301), { filename: 'first.bin' });
    const page = await openPage(service.url);
    const line = page.locator('#quota-words');
    await line.getByText(/^60\.0 KiB of 100 KiB used · 1 of 50 files$/).waitFor();
    expect(await page.locator('#quota.near').count()).toBe(0);
    await putFile(service.url, makeBytes(32 * KIB, 9_302), { filename: 'second.bin' });
    await line.getByText(/^92\.0 KiB of 100 KiB used · 2 of 50 files$/).waitFor();
    await page.locator('#quota.near').waitFor();
    await page.locator('#live').getByText('There is little room left.').waitFor({ state: 'attached' });

    await choose(page, [chosen('third.bin', makeBytes(20 * KIB, 9_303))]);
    await untilStatus(page, 'third.bin', /^There is no room left for this file\. Delete some for good/);
    await file(page, 'first.bin')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await line.getByText(/^92\.0 KiB of 100 KiB used · 2 of 50 files · 60\.0 KiB of it in the trash$/).waitFor();
    await press(page, 'third.bin', /^Try again/);
    await untilStatus(page, 'third.bin', /^There is no room left for this file/);
    expect(await findings(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    await screenshot(page, 'quota-near-360');

    const emptied = await send('DELETE', `${service.url}/api/trash?id=${fileId}`);
    expect(emptied.status).toBe(200);
    await press(page, 'third.bin', /^Try again/);
    await file(page, 'third.bin').waitFor();
    await line.getByText(/^52\.0 KiB of 100 KiB used · 2 of 50 files$/).waitFor();
    await page.locator('#language').click();
    await line.getByText('已用 52.0 KiB，共 100 KiB · 2 / 50 个文件').waitFor();
  });

  test('is asked for before the first part of a file', async () => {
    const page = await openPage(service.url);
    const begun: string[] = [];
    page.on('request', (made) => void (made.method() === 'POST' && begun.push(new URL(made.url()).pathname)));
    await page.getByLabel('Connections for each file').selectOption('3');
    await choose(page, (await makeFile('parts.bin', 20 * 1024 * KIB)).path);
    await untilStatus(page, 'parts.bin', /^There is no room left for this file/);
    expect(begun).not.toContain('/uploads');
  });

  test('of bytes alone, or of files alone, is shown by itself, with what unfinished uploads take up, and as full', async () => {
    const own = await startOwn({
      env: { AUTH_TOKENS: 'bytes:secret-of-bytes,files:secret-of-files', QUOTAS: 'bytes:bytes=100KiB,files:files=2' },
    });
    const who = (owner: string) => bearer(`secret-of-${owner}`);
    const put = (owner: string, size: number, filename: string) =>
      putFile(own.url, makeBytes(size, 9_310 + filename.length), { filename }, who(owner));
    const openAs = async (owner: string): Promise<Page> => {
      const page = await openPage(own.url);
      await page.getByRole('textbox', { name: 'Token' }).fill(`secret-of-${owner}`);
      await page.getByRole('button', { name: 'Use it' }).click();
      return page;
    };
    const words = (page: Page, shown: RegExp): Promise<void> => page.locator('#quota-words').getByText(shown).waitFor();

    await put('bytes', 40 * KIB, 'one');
    await createUpload(own.url, 10 * KIB, {}, who('bytes'));
    const bytes = await openAs('bytes');
    await words(bytes, /^50\.0 KiB of 100 KiB used · 10\.0 KiB of it in unfinished uploads$/);
    expect(await bytes.locator('#quota-meter').evaluate((meter: { value: number }) => meter.value)).toBe(0.5);

    const { fileId } = await put('files', 10 * KIB, 'one');
    const files = await openAs('files');
    await words(files, /^1 of 2 files$/);
    await put('files', KIB, 'second');
    await words(files, /^2 of 2 files\. There is no room for more\.$/);
    await files.locator('#quota.near').waitFor();
    await files.locator('#live').getByText('There is no room for more.').waitFor({ state: 'attached' });
    expect(await findings(files)).toEqual([]);
    await send('DELETE', `${own.url}/api/files/${fileId}`, { headers: who('files') });
    await words(files, /^1 of 2 files$/);
    expect(await files.locator('#quota.near').count()).toBe(0);
  });

  test('that nobody has is not shown', async () => {
    const free = await startService();
    try {
      const page = await openPage(free.url);
      const asked = page.waitForResponse((answer) => answer.url().endsWith('/api/quota'));
      await page.reload();
      expect((await asked).status()).toBe(200);
      await expect.poll(() => page.locator('#quota').isHidden()).toBe(true);
      // Nor is it asked for again.
      let askedAgain = 0;
      page.on('request', (made) => void (made.url().endsWith('/api/quota') && (askedAgain += 1)));
      await choose(page, [chosen('a.txt', Buffer.from('a'))]);
      await untilStatus(page, 'a.txt', /^Done/);
      await file(page, 'a.txt').waitFor();
      // A timer of the length of the page's own, which was set before.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
      expect(askedAgain).toBe(0);
    } finally {
      await free.stop();
    }
  });
});
