/** A catalog of 100,000 files in the page. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { putFile } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file } from './support.ts';

const COUNT = 100_000;

describeInBrowser('100,000 files', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    await putFile(service.url, 'one content', { filename: 'numbered-000000.txt' });
    await service.kill('SIGTERM');
    // Names for the same content.
    const catalog = new Database(join(service.dataDir, 'catalog.db'));
    catalog.exec(`
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${COUNT - 1})
      INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size)
      SELECT printf('%s-%06d', id, n), owner, printf('numbered-%06d.txt', n),
        printf('numbered-%06d.txt', n), type, uploaded_at + n, content_id, size FROM files, numbers`);
    catalog.close();
    await service.restart();
  });
  afterAll(() => service.stop());

  test('scrolling reaches the last one with few rows in the document, and a new start of the service moves nothing', async () => {
    const page = await openPage(service.url);
    await page.getByRole('button', { name: 'Name: sort by Name, A to Z' }).click();
    await file(page, 'numbered-000000.txt').waitFor();
    const last = file(page, `numbered-0${COUNT - 1}.txt`);
    let most = 0;
    while (!(await last.isVisible())) {
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
      most = Math.max(most, await page.locator('#file-list > li').count());
    }
    expect(most).toBeLessThan(60);
    expect(await last.getAttribute('aria-posinset')).toBe(String(COUNT));
    await page.evaluate("document.querySelector('#select-all').click()");
    await page.locator('#selection-words').getByText('100,000 selected').waitFor();
    await last.getByRole('checkbox').uncheck();
    await page.locator('#selection-words').getByText('99,999 selected').waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();

    // The connection for events breaks, and the list is loaded anew: it stays where it is.
    const middle = file(page, 'numbered-050000.txt');
    await page.evaluate(`scrollTo(0, 50000 * document.querySelector('#file-list').offsetHeight / ${COUNT})`);
    await middle.waitFor();
    const at = Number(await page.evaluate('scrollY'));
    await service.restart();
    await putFile(service.url, makeBytes(1_000, 811), { filename: 'a first one.txt' });
    await expect.poll(() => middle.getAttribute('aria-setsize'), { timeout: 60_000 }).toBe(String(COUNT + 1));
    expect(Math.abs(Number(await page.evaluate('scrollY')) - at)).toBeLessThan(100);
  });
});
