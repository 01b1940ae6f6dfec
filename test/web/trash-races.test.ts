/** The trash in the page, where answers are lost, others act meanwhile, and events come while the list is open. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { RunningService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json, putFile } from '../http/support.ts';
import { namesOf, thousandBytes, untilListed } from './folder-support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file, folder, startOwn } from './support.ts';

async function startWith(names: readonly string[]): Promise<RunningService> {
  const service = await startOwn({ env: { TRASH_TTL: '7d' } });
  for (const name of names) await put(service, name);
  return service;
}

function put(service: RunningService, filename: string): Promise<{ fileId: string }> {
  return putFile(service.url, thousandBytes(), { filename });
}

async function trashed(service: RunningService): Promise<{ id: string; name: string }[]> {
  const { files } = json<{ files: { id: string; name: string }[] }>(await send('GET', `${service.url}/api/trash`));
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function namesInTrash(service: RunningService): Promise<string[]> {
  return (await trashed(service)).map(({ name }) => name);
}

async function open(service: RunningService, path = ''): Promise<Page> {
  const page = await openPage(`${service.url}/${path}`);
  await page.locator('#trash-open').waitFor();
  return page;
}

async function remove(page: Page, name: string): Promise<void> {
  await folder(page, name)
    .getByRole('button', { name: /^Delete/ })
    .click();
}

const undo = (page: Page) => page.locator('#toasts').getByRole('button', { name: 'Undo' });
const entry = (page: Page, name: string) =>
  page.locator('#trash-list > li', { has: page.locator('bdi', { hasText: name }) });

describeInBrowser('the trash, at the same time', () => {
  test('Undo of a folder restores what went, also where a later answer lacks the id or never comes; it says so where no id is known', async () => {
    const service = await startWith(['box/a.txt', 'box/b.txt', 'top.txt']);
    const page = await open(service);
    await folder(page, 'box').waitFor();
    /** What becomes of the requests that delete: the first one says that there is more. */
    let next: 'lacksId' | 'fails' | 'lost' = 'lacksId';
    await page.route('**/api/folders?*', async (route) => {
      const request = route.request();
      if (request.method() !== 'DELETE') return route.continue();
      if (new URL(request.url()).searchParams.has('cursor'))
        return next === 'fails' ? route.abort() : route.fulfill({ json: { files: 0, bytes: 0, nextCursor: null } });
      const response = await route.fetch();
      if (next === 'lost') return route.abort();
      return route.fulfill({ response, json: { ...(await response.json()), nextCursor: 'more' } });
    });
    for (next of ['lacksId', 'fails'] as const) {
      await remove(page, 'box');
      await expect.poll(() => namesInTrash(service), { message: next }).toEqual(['box/a.txt', 'box/b.txt']);
      if (next === 'fails') await page.locator('#toasts').getByText('box could not be deleted.').waitFor();
      await undo(page).click();
      await expect.poll(() => namesInTrash(service), { message: next }).toEqual([]);
      await expect.poll(() => folder(page, 'box').locator('.when').textContent(), { message: next }).toBe('2 files');
    }
    next = 'lost';
    await remove(page, 'box');
    await page.locator('#toasts').getByText('box could not be deleted.').last().waitFor();
    await undo(page).click();
    await page.locator('#toasts').getByText('It is not known what of box was deleted.').waitFor();
    expect(await namesInTrash(service)).toEqual(['box/a.txt', 'box/b.txt']);
    await untilListed(page, ['top.txt']);
  });

  test('what cannot be restored keeps nothing else from it; what was restored elsewhere meanwhile is no failure; totals hold', async () => {
    const service = await startWith(['box/a.txt', 'rest/b.txt', 'rest/c.txt', 'gone.txt']);
    const page = await open(service);
    await untilListed(page, ['box/', 'rest/', 'gone.txt']);
    await page.getByRole('checkbox', { name: 'Select folder box' }).click();
    await page.getByRole('checkbox', { name: 'Select gone.txt' }).click();
    await page.locator('#selection-delete').click();
    await expect.poll(() => namesInTrash(service)).toEqual(['box/a.txt', 'gone.txt']);
    const lost = (await trashed(service)).find(({ name }) => name === 'gone.txt');
    await send('DELETE', `${service.url}/api/trash?id=${lost?.id}`);
    await undo(page).click();
    await untilListed(page, ['box/', 'rest/']);
    const failed = 'Undo did not bring everything back. This is no longer on the service.';
    await page.locator('#toasts').getByText(failed).waitFor();
    // A notice below the pointer stays.
    await page.mouse.move(2, 2);
    await page.locator('#toasts').getByText(failed).waitFor({ state: 'detached' });

    // The first answer says that there is more; somebody else restores that.
    let restorations = 0;
    await page.route('**/api/trash/restore', async (route) => {
      if ((restorations += 1) > 1) return route.continue();
      const response = await route.fetch();
      return route.fulfill({ response, json: { ...(await response.json()), complete: false } });
    });
    await remove(page, 'box');
    await expect.poll(() => namesInTrash(service)).toEqual(['box/a.txt']);
    const second = page.waitForResponse((response) => response.url().endsWith('/restore') && response.status() === 404);
    await undo(page).click();
    await (await second).finished();
    await untilListed(page, ['box/', 'rest/']);
    await page.evaluate('new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve)))');
    expect(await page.locator('#toasts').allTextContents()).toEqual(['']);
    expect(await namesOf(service)).toEqual(['box/a.txt', 'rest/b.txt', 'rest/c.txt']);

    await folder(page, 'rest').locator('a.name').click();
    await file(page, 'b.txt').waitFor();
    await file(page, 'b.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect.poll(() => namesInTrash(service)).toEqual(['rest/b.txt']);
    await page.getByRole('link', { name: 'Up to All files' }).click();
    await untilListed(page, ['box/', 'rest/']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^2 files/);
  });

  test('the list keeps the focus as events come, shows them however many come, and a folder as one entry; the page asks again for the trash', async () => {
    const service = await startWith(['one.txt', 'two.txt']);
    const folders = ['f', 'g'];
    for (let index = 0; index < 8; index++) for (const name of folders) await put(service, `${name}/${index}`);
    for (const name of folders) await send('DELETE', `${service.url}/api/folders?path=${name}`);
    const catalog = new Database(join(service.dataDir, 'catalog.db'));
    // At the same time: they are listed by their ids.
    catalog.exec('UPDATE trash SET deleted_at = (SELECT max(deleted_at) FROM trash)');
    catalog.close();
    const page = await openPage('about:blank');
    let refused = 0;
    await page.route('**/api/trash?*', (route) => ((refused += 1) > 1 ? route.continue() : route.abort()));
    await page.goto(service.url);
    await page.locator('#trash-open').click();
    await entry(page, 'f/').waitFor();
    await expect.poll(() => page.locator('#trash-list > li').count()).toBe(2);
    await entry(page, 'f/').getByText('8 files').waitFor();

    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.ariaLabel');
    await entry(page, 'g/').getByRole('button', { name: 'Delete for good: g/' }).click();
    const { files } = json<{ files: { id: string; name: string }[] }>(await send('GET', `${service.url}/api/files`));
    await send('DELETE', `${service.url}/api/files/${files.find(({ name }) => name === 'one.txt')?.id}`);
    await entry(page, 'one.txt').waitFor();
    await page.locator('#trash-no').click();
    expect(await focused()).toBe('Delete for good: g/');
    await send('DELETE', `${service.url}/api/files/${files.find(({ name }) => name === 'two.txt')?.id}`);
    await entry(page, 'two.txt').waitFor();
    expect(await focused()).toBe('Delete for good: g/');
    // Events that come more often than the list is read.
    const { fileId } = await put(service, 'three.txt');
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    for (let count = 0; count < 300 && !(await entry(page, 'three.txt').isVisible()); count++)
      await put(service, `busy ${count}.txt`);
    expect(await entry(page, 'three.txt').isVisible()).toBe(true);
  });
});
