/** The trash in the page: deleting and Undo, the list, restoring, deleting for good, emptying; with what others do meanwhile. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json, putFile, storedNames } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file, folder, LOCALES, look } from './support.ts';

const LONG = `${'A name that is much longer than the screen is wide '.repeat(3)}.pdf`;
let seed = 8_900;

describeInBrowser('the trash', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { TRASH_TTL: '7d' } });
  });
  afterAll(() => service.stop());

  beforeEach(async () => {
    for (const { id } of (await list()).files) await remove(id);
    await send('DELETE', `${service.url}/api/trash?all=true`);
  });

  async function list(): Promise<{ files: { id: string; name: string }[] }> {
    return json(await send('GET', `${service.url}/api/files?limit=1000&sort=name`));
  }

  async function trashed(): Promise<string[]> {
    const { files } = json<{ files: { name: string }[] }>(await send('GET', `${service.url}/api/trash?limit=1000`));
    return files.map(({ name }) => name).toSorted();
  }

  const put = (name: string) => putFile(service.url, makeBytes(2_000, (seed += 1)), { filename: name });
  const remove = (id: string) => send('DELETE', `${service.url}/api/files/${id}`);
  const entry = (page: Page, name: string) =>
    page.locator('#trash-list > li', { has: page.locator('bdi', { hasText: name }) });

  async function openTrash(page: Page): Promise<void> {
    await page.locator('#trash-open').click();
    await page.locator('#trash[open]').waitFor();
  }

  test('a file is deleted at once, and Undo restores it; left alone, it can be restored from the list', async () => {
    await put('kept after all.txt');
    const { fileId } = await put('later.txt');
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    await file(page, 'kept after all.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect.poll(trashed).toEqual(['kept after all.txt']);
    await page.getByRole('button', { name: 'Undo' }).click();
    await file(page, 'kept after all.txt').waitFor();
    await expect.poll(trashed).toEqual([]);
    await file(page, 'later.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect.poll(trashed).toEqual(['later.txt']);
    await page.reload();
    await page.locator('#trash-open').click();
    await page.getByText('Deleted files stay here for 7 days.').waitFor();
    await entry(page, 'later.txt').getByRole('button', { name: 'Restore: later.txt' }).click();
    await page.getByText('Restored: later.txt').waitFor();
    await expect.poll(() => page.locator('#trash-list > li').count()).toBe(0);
    await page.locator('#trash-close').click();
    await file(page, 'later.txt').waitFor();
    expect((await list()).files.find(({ name }) => name === 'later.txt')?.id).toBe(fileId);
  });

  test('a selection that is deleted comes back with one Undo, by one request', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `many ${index + 10}.txt`);
    for (const name of names) await put(name);
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    await file(page, 'many 21.txt').waitFor();
    const restorations: string[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/api/trash/restore')) restorations.push(request.postData() ?? '');
    });
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await page.locator('#selection-delete').click();
    await expect.poll(async () => (await trashed()).length).toBe(12);
    await page.getByRole('button', { name: 'Undo' }).click();
    for (const name of names) await file(page, name).waitFor();
    expect(restorations).toHaveLength(1);
    expect(await trashed()).toEqual([]);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^12 files/);
  });

  test('a folder is deleted at once, and Undo brings all of it back, with what was sent there since', async () => {
    const ids = [];
    for (const name of ['box/a.txt', 'box/below/b.txt', 'beside.txt']) ids.push((await put(name)).fileId);
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    await folder(page, 'box')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect.poll(trashed).toEqual(['box/a.txt', 'box/below/b.txt']);
    await put('box/a.txt');
    await folder(page, 'box').waitFor();
    expect(await trashed()).toEqual(['box/a.txt', 'box/below/b.txt']);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(trashed).toEqual([]);
    const { files } = await list();
    const names = ['beside.txt', 'box/a (2).txt', 'box/a.txt', 'box/below/b.txt'];
    expect(files.map(({ name }) => name).toSorted()).toEqual(names);
    expect(files.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
    await expect.poll(() => folder(page, 'box').locator('.when').textContent()).toBe('3 files');
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^4 files/);
  });

  test('Undo before a deletion was sent sends none; after one that failed, the file is in the list', async () => {
    for (let index = 0; index < 6; index++) await put(`slow ${index}.txt`);
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    await file(page, 'slow 0.txt').waitFor();
    let deletions = 0;
    const held: (() => void)[] = [];
    await page.route('**/api/files/*', async (route) => {
      if (route.request().method() !== 'DELETE') return route.continue();
      deletions += 1;
      await new Promise<void>((resolve) => held.push(resolve));
      return route.abort();
    });
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await page.locator('#selection-delete').click();
    await expect.poll(() => held.length).toBe(4);
    await page.getByRole('button', { name: 'Undo' }).click();
    for (const release of held) release();
    for (let index = 0; index < 6; index++) await file(page, `slow ${index}.txt`).waitFor();
    expect([deletions, await trashed()]).toEqual([4, []]);
  });

  test('what others restore appears in the list, also where this page had deleted it', async () => {
    const { fileId } = await put('back again.txt');
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    await file(page, 'back again.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect.poll(trashed).toEqual(['back again.txt']);
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ files: [fileId] });
    expect((await send('POST', `${service.url}/api/trash/restore`, { headers, body })).status).toBe(200);
    await file(page, 'back again.txt').waitFor();
  });

  test('a folder is one entry, restored and deleted as a whole; for good only after a question', async () => {
    for (const name of ['shots/1.jpg', 'shots/sub/2.jpg', 'single.txt']) await put(name);
    await send('DELETE', `${service.url}/api/folders?path=shots`);
    const [single] = (await list()).files;
    const page = await openPage(service.url);
    await openTrash(page);
    await entry(page, 'shots/').getByText('2 files · 3.9 KiB').waitFor();
    await entry(page, 'shots/').getByRole('button', { name: 'Restore: shots/' }).click();
    await expect.poll(async () => (await list()).files.length).toBe(3);
    // The dialog shows what others delete meanwhile.
    await remove(single?.id ?? '');
    await send('DELETE', `${service.url}/api/folders?path=shots`);
    await entry(page, 'single.txt').waitFor();
    await entry(page, 'shots/').getByText('2 files').waitFor();
    await entry(page, 'shots/').getByRole('button', { name: 'Delete for good: shots/' }).click();
    await page.getByText('shots/ will be gone for good.').waitFor();
    await page.locator('#trash-no').click();
    expect(await trashed()).toHaveLength(3);
    await entry(page, 'shots/').getByRole('button', { name: 'Delete for good: shots/' }).click();
    await page.locator('#trash-yes').click();
    await page.getByText('Deleted for good: shots/').waitFor();
    await expect.poll(trashed).toEqual(['single.txt']);
    expect(await storedNames(service)).toHaveLength(2);

    // As of a trash for which one request has no time: the page asks again, for what was there at first.
    const asked: URLSearchParams[] = [];
    await page.route(/\/api\/trash\?all=true/, async (route) => {
      asked.push(new URL(route.request().url()).searchParams);
      const response = await route.fetch();
      const answer = (await response.json()) as object;
      await route.fulfill({ response, json: asked.length === 1 ? { ...answer, complete: false } : answer });
    });
    await page.locator('#trash-empty').click();
    await page.locator('#trash-yes').click();
    await expect.poll(() => asked.length).toBe(2);
    await expect.poll(trashed).toEqual([]);
    expect(asked.map((query) => query.has('until'))).toEqual([false, true]);
  });

  test('by keyboard: opened, one deleted for good, emptied, closed', async () => {
    for (const name of ['first.txt', 'second.txt']) await remove((await put(name)).fileId);
    const page = await openPage(service.url);
    await page.locator('#trash-open').waitFor();
    const focus = (): Promise<unknown> =>
      page.evaluate('document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.tagName');
    const press = async (key: string, until: RegExp): Promise<void> => {
      for (let presses = 0; presses < 30; presses++) {
        if (until.test(String(await focus()))) return;
        await page.keyboard.press(key);
      }
      throw new Error(`no focus on ${until.source}`);
    };
    await press('Tab', /^trash-open$/);
    await page.keyboard.press('Enter');
    await entry(page, 'second.txt').waitFor();
    await press('Tab', /^Delete for good: second\.txt$/);
    await page.keyboard.press('Enter');
    await expect.poll(focus).toBe('trash-no');
    await page.keyboard.press('Enter');
    await expect.poll(focus).toBe('Delete for good: second.txt');
    await page.keyboard.press('Enter');
    await press('Tab', /^trash-yes$/);
    await page.keyboard.press('Enter');
    await expect.poll(trashed).toEqual(['first.txt']);
    await expect.poll(focus).toBe('trash-close');
    await press('Shift+Tab', /^trash-empty$/);
    await page.keyboard.press('Enter');
    await press('Tab', /^trash-yes$/);
    await page.keyboard.press('Enter');
    await expect.poll(trashed).toEqual([]);
    await page.keyboard.press('Escape');
    await page.locator('#trash[open]').waitFor({ state: 'detached' });
    await expect.poll(focus).toBe('trash-open');
  });

  test('many are listed page by page', async () => {
    for (let index = 0; index < 210; index++)
      await putFile(service.url, `bytes ${index}`, { filename: `heap ${String(index).padStart(3, '0')}` });
    for (const { id } of (await list()).files) await remove(id);
    const page = await openPage(service.url);
    await openTrash(page);
    await expect.poll(() => page.locator('#trash-list > li').count()).toBe(200);
    await page.locator('#trash-more').click();
    await expect.poll(() => page.locator('#trash-list > li').count()).toBe(210);
    expect(await page.locator('#trash-more').isVisible()).toBe(false);
  });

  test.each(LOCALES)('%s: axe-core finds nothing, and nothing is wider than the screen', async (locale) => {
    for (const each of ['tides.txt', '会议纪要.pdf', LONG]) await remove((await put(each)).fileId);
    for (const each of ['f/1', 'f/2']) await put(each);
    await send('DELETE', `${service.url}/api/folders?path=f`);
    const page = await openPage(service.url, { locale });
    await page.locator('#trash-open').waitFor();
    await openTrash(page);
    await entry(page, 'tides.txt').waitFor();
    await look(page, locale, 'trash-1');
    await page.locator('#trash-empty').click();
    await look(page, locale, 'trash-2-question');
    const dialog = 'document.getElementById("trash")';
    expect(await page.evaluate(`${dialog}.scrollWidth - ${dialog}.clientWidth`)).toBeLessThanOrEqual(0);
  });
});
