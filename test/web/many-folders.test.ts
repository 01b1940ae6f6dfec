/** 100,000 files in nested folders in the page, and folders with very many entries. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file } from './support.ts';

/** Folders in `many`, and files in each of them. */
const FOLDERS = 5_000;
const FILES_EACH = 20;

describeInBrowser('100,000 files in nested folders', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
    await putFile(service.url, 'one content', { filename: 'many/folder-0000/file-00.txt' });
    await service.kill('SIGTERM');
    const catalog = new Database(join(service.dataDir, 'catalog.db'));
    // Names for the same content. The totals are those that the triggers keep.
    catalog.exec(`
      INSERT INTO folders (owner, parent_id, name, folded_name)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${FOLDERS - 1})
        SELECT owner, id, printf('folder-%04d', n), printf('folder-%04d', n) FROM folders, numbers WHERE name = 'many';
      CREATE TEMP TABLE one AS SELECT * FROM files;
      INSERT INTO files (id, owner, name, folded_name, type, uploaded_at, content_id, size, folder_id)
        WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${FILES_EACH - 1})
        SELECT printf('%s-%d-%d', one.id, folders.id, n), one.owner, printf('file-%02d.txt', n), printf('file-%02d.txt', n),
          type, uploaded_at, content_id, size, folders.id
        FROM one, folders, numbers WHERE folders.name LIKE 'folder-%' AND NOT (folders.name = 'folder-0000' AND n = 0)`);
    catalog.close();
    await service.restart();
  });
  afterAll(() => service.stop());

  test('few rows are in the document, to the last of the folders; what comes is counted, and the page stays where it is', async () => {
    const page = await openPage(`${service.url}/#/many`);
    await page.getByText('100,000 files').waitFor();
    await page.locator('#file-list > li', { hasText: 'folder-0000' }).waitFor();
    // Of a level whose folders are not all loaded, as many are read again as there were.
    const first = page.locator('#file-list > li', { hasText: 'folder-0000' });
    const limits: (string | null)[] = [];
    page.on('request', (request) => {
      const { pathname, searchParams } = new URL(request.url());
      if (pathname === '/api/files' && !searchParams.has('cursor')) limits.push(searchParams.get('limit'));
    });
    for (const count of [1, 2]) {
      await putFile(service.url, `added ${count}`, { filename: `many/folder-0000/added ${count}.txt` });
      await expect.poll(() => first.locator('.when').textContent()).toBe(`${FILES_EACH + count} files`);
    }
    expect(limits).toEqual(['200', '200']);

    const last = page.locator('#file-list > li', { hasText: `folder-${FOLDERS - 1}` });
    let most = 0;
    while (!(await last.isVisible())) {
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
      most = Math.max(most, await page.locator('#file-list > li').count());
    }
    expect(most).toBeLessThan(60);
    expect(await last.getAttribute('aria-posinset')).toBe(String(FOLDERS));
    await putFile(service.url, 'one more', { filename: `many/folder-${FOLDERS - 1}/one more.txt` });
    await expect.poll(() => last.locator('.when').textContent()).toBe(`${FILES_EACH + 1} files`);
    await page.evaluate("document.querySelector('#select-all').click()");
    await page.locator('#selection-words').getByText('5,000 selected').waitFor();
    await page.locator('#selection-move').click();
    await page.locator('#toasts').getByText('At most 1,000 files and folders can be moved at once.').waitFor();
    expect(await page.locator('#move').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Clear' }).click();

    await last.locator('a.name').click();
    await file(page, 'one more.txt').waitFor();
    await page.goBack();
    // Back at the folder from which the user came, not at the beginning.
    await last.waitFor();
    expect(await last.getAttribute('aria-posinset')).toBe(String(FOLDERS));
  });
});
