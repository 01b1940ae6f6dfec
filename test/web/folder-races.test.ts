/** Folders in the page, where things happen at the same time: lists that are slow, what others do, deletions that wait. */
import type { Page, Route } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import type { RunningService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { putFile } from '../http/support.ts';
import { namesOf, startWith, stopShared, thousandBytes, untilListed } from './folder-support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file, folder } from './support.ts';

/** Holds answers, as they are when they are asked for, until they are released. */
async function hold(page: Page, which: RegExp, method = 'GET'): Promise<{ asked: () => number; release: () => void }> {
  const held: (() => void)[] = [];
  let isReleased = false;
  await page.route(which, async (route: Route) => {
    if (isReleased || route.request().method() !== method) return route.continue();
    const response = await route.fetch();
    await new Promise<void>((resolve) => held.push(resolve));
    // The page may have lost interest.
    return route.fulfill({ response }).catch(() => undefined);
  });
  return {
    asked: () => held.length,
    release: () => {
      isReleased = true;
      for (const each of held) each();
    },
  };
}

function rename(service: RunningService, id: string | undefined, name: string): Promise<unknown> {
  return send('PATCH', `${service.url}/api/files/${id}`, {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name }),
  });
}

async function moveSelectionTo(page: Page, path: string): Promise<void> {
  await page.locator('#selection-move').click();
  await page.getByLabel('Into the folder').fill(path);
  await page.keyboard.press('Enter');
}

describeInBrowser('folders, at the same time', () => {
  afterAll(stopShared);

  test('while a folder opens, nothing of the one before can be selected; a file that is deleted while a list loads stays away', async () => {
    const { service } = await startWith(['a/1.txt', 'a/2.txt', 'b/3.txt', 'top.txt']);
    const page = await openPage(service.url);
    await untilListed(page, ['a/', 'b/', 'top.txt']);
    const opening = await hold(page, /api\/files\?.*prefix=a/);
    await folder(page, 'a').locator('a.name').click();
    await expect.poll(opening.asked).toBe(1);
    expect(await page.locator('#list-head').evaluate((head: { inert: boolean }) => head.inert)).toBe(true);
    await page.evaluate("document.querySelector('#select-all').click()");
    expect(await page.locator('#selection').isVisible()).toBe(false);
    opening.release();
    await untilListed(page, ['2.txt', '1.txt']);
    expect(await page.locator('#selection').isVisible()).toBe(false);

    const sorting = await hold(page, /api\/files\?.*sort=name/);
    await page.getByRole('button', { name: 'Name: sort by Name, A to Z' }).click();
    await expect.poll(sorting.asked).toBe(1);
    const { fileId } = await putFile(service.url, thousandBytes(), { filename: 'a/ghost.txt' });
    await file(page, 'ghost.txt').waitFor();
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    await file(page, 'ghost.txt').waitFor({ state: 'detached' });
    sorting.release();
    await untilListed(page, ['1.txt', '2.txt']);
  });

  test('the selection has files as they are by now: renamed here, moved away by others; the total is read again with the list', async () => {
    const { service, ids } = await startWith(['x/a.txt', 'x/b.txt', 'x/c.txt']);
    const page = await openPage(`${service.url}/#/x`);
    await file(page, 'a.txt').waitFor();
    for (const name of ['a.txt', 'b.txt']) await page.getByRole('checkbox', { name: `Select ${name}` }).click();
    await file(page, 'a.txt').getByRole('button', { name: 'Rename: a.txt' }).click();
    await page.keyboard.type('new');
    await page.keyboard.press('Enter');
    await file(page, 'new.txt').waitFor();
    await rename(service, ids['x/b.txt'], 'y/b.txt');
    await page.locator('#selection-words').getByText('1 selected').waitFor();
    await moveSelectionTo(page, 'z');
    await untilListed(page, ['c.txt']);
    expect(await namesOf(service)).toEqual(['x/c.txt', 'y/b.txt', 'z/new.txt']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^1 file /);

    // A page that has missed events begins anew.
    let isOpen = false;
    await page.route('**/api/events', (route) => {
      const { 'last-event-id': _id, ...headers } = route.request().headers();
      return isOpen ? route.continue({ headers }) : route.abort();
    });
    await service.restart({});
    await putFile(service.url, thousandBytes(), { filename: 'x/missed.txt' });
    isOpen = true;
    await untilListed(page, ['missed.txt', 'c.txt']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^2 files /);
  });

  test('a deletion that waits is undone by what moves into it, and carried out before what would make it miss', async () => {
    const names = ['one/a.txt', 'two/b.txt', 'par/one/c.txt', 'par/keep.txt', 'top.txt'];
    const { service } = await startWith(names);
    const page = await openPage(service.url);
    const remove = (name: string): Promise<void> =>
      folder(page, name)
        .getByRole('button', { name: `Delete: folder ${name}` })
        .click();
    const renameFolder = async (name: string, to: string): Promise<void> => {
      await folder(page, name)
        .getByRole('button', { name: `Rename: folder ${name}` })
        .click();
      await page.keyboard.type(to);
      await page.keyboard.press('Enter');
      await folder(page, to).waitFor();
    };
    await untilListed(page, ['one/', 'par/', 'two/', 'top.txt']);
    await remove('one');
    await untilListed(page, ['par/', 'two/', 'top.txt']);
    await page.getByRole('checkbox', { name: 'Select top.txt' }).click();
    await moveSelectionTo(page, 'one');
    await untilListed(page, ['one/', 'par/', 'two/']);
    await page.locator('#toasts').getByText('Deleted: one').waitFor({ state: 'detached' });

    await folder(page, 'par').locator('a.name').click();
    await untilListed(page, ['one/', 'keep.txt']);
    await remove('one');
    await untilListed(page, ['keep.txt']);
    await page.getByRole('link', { name: 'Up to All files' }).click();
    await untilListed(page, ['one/', 'par/', 'two/']);
    await renameFolder('par', 'parent');
    await page.locator('#toasts').getByText('Deleted: one').waitFor({ state: 'detached' });
    expect(await namesOf(service)).toEqual(['one/a.txt', 'one/top.txt', 'parent/keep.txt', 'two/b.txt']);

    await remove('two');
    await untilListed(page, ['one/', 'parent/']);
    await renameFolder('one', 'two');
    await untilListed(page, ['parent/', 'two/']);
    expect(await namesOf(service)).toEqual(['parent/keep.txt', 'two/a.txt', 'two/top.txt']);
  });

  test('moves that are cancelled end, and change no dialog that is opened later; a long path is packed by a form', async () => {
    const long = ['潮'.repeat(250), '汐'.repeat(250)].join('/');
    const { service } = await startWith(['1.txt', '2.txt', '3.txt', `${long}/4.txt`]);
    const page = await openPage(service.url);
    await untilListed(page, [`${'潮'.repeat(250)}/`, '3.txt', '2.txt', '1.txt']);
    for (const name of ['1.txt', '2.txt', '3.txt'])
      await page.getByRole('checkbox', { name: `Select ${name}` }).click();
    const moves = await hold(page, /api\/files\/[^/]+$/, 'PATCH');
    await moveSelectionTo(page, 'there');
    await expect.poll(moves.asked).toBe(1);
    await page.locator('#move-cancel').click();
    await page.locator('#selection-move').click();
    const dialog = page.locator('#move[open]');
    await dialog.waitFor();
    moves.release();
    await page.locator('#selection-words').getByText('2 selected').waitFor();
    await page.locator('#toasts').getByText('1.txt moved to there').waitFor();
    expect(await dialog.isVisible()).toBe(true);
    expect(await dialog.getByRole('button', { name: 'Move here' }).isEnabled()).toBe(true);
    await page.keyboard.press('Escape');
    expect(await namesOf(service)).toEqual(['2.txt', '3.txt', 'there/1.txt', `${long}/4.txt`]);

    await page.goto(`${service.url}/#/${encodeURIComponent('潮'.repeat(250))}`);
    const asked = page.waitForRequest(/api\/archive/);
    const saved = page.waitForEvent('download');
    await folder(page, '汐')
      .getByRole('button', { name: /^Download folder/ })
      .click();
    expect((await asked).method()).toBe('POST');
    await (await saved).path();
  });
});
