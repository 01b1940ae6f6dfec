/** Folders in the page: one level at a time, with everything that can be done with a folder. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import type { RunningService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { readZip } from '../harness/zip-readers.ts';
import { json, putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, drop, file, folder, LOCALES, look, untilStatus } from './support.ts';
import { namesOf, startWith, stopShared, thousandBytes, untilListed } from './folder-support.ts';

function move(service: RunningService, from: string, to: string): Promise<unknown> {
  return send('PATCH', `${service.url}/api/folders?${new URLSearchParams({ path: from }).toString()}`, {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ path: to }),
  });
}

function focused(page: Page): Promise<unknown> {
  return page.evaluate('document.activeElement.textContent');
}

describeInBrowser('folders', () => {
  afterAll(stopShared);

  test('are opened by mouse, keyboard and address, and left by the way up, the way there and the browser', async () => {
    const { service } = await startWith(['tides/2024/jan/high.txt', 'tides/2024/low.txt', 'tides/moon.txt', 'top.txt']);
    const page = await openPage(service.url);
    await untilListed(page, ['tides/', 'top.txt']);
    expect(await folder(page, 'tides').locator('.when').textContent()).toBe('3 files');
    expect(await folder(page, 'tides').locator('.size').textContent()).toBe('2.9 KiB');
    await folder(page, 'tides').locator('a.name').click();
    await untilListed(page, ['2024/', 'moon.txt']);
    expect(decodeURIComponent(new URL(page.url()).hash)).toBe('#/tides');
    expect(await page.title()).toBe('tides · Tidemark');
    await expect.poll(() => page.locator('#files-total').textContent()).toBe('3 files · 2.9 KiB');

    await folder(page, '2024').locator('a.name').focus();
    await page.keyboard.press('Enter');
    await untilListed(page, ['jan/', 'low.txt']);
    // The focus is where the next key is of use.
    await expect.poll(() => focused(page)).toBe('jan');
    await page.keyboard.press('Enter');
    await untilListed(page, ['high.txt']);
    await page.keyboard.press('Alt+ArrowUp');
    await untilListed(page, ['jan/', 'low.txt']);
    await expect.poll(() => focused(page)).toBe('jan');
    await page.goBack();
    await untilListed(page, ['high.txt']);
    await page.goBack();
    await untilListed(page, ['jan/', 'low.txt']);
    await page.getByRole('navigation').getByRole('link', { name: 'tides' }).click();
    await untilListed(page, ['2024/', 'moon.txt']);
    await page.reload();
    await untilListed(page, ['2024/', 'moon.txt']);
    await page.getByRole('link', { name: 'Up to All files' }).click();
    await untilListed(page, ['tides/', 'top.txt']);
    expect(await page.getByRole('link', { name: /^Up to/ }).isVisible()).toBe(false);

    const deep = await openPage(`${service.url}/#/tides/2024/jan`);
    await untilListed(deep, ['high.txt']);
    await deep.getByRole('navigation').getByText('2024').waitFor();
    // A folder that is not there is empty, and none that could be has such a path.
    await deep.goto(`${service.url}/#/none/here`);
    await deep.locator('#files-note').getByText('Nothing is in this folder.').waitFor();
    await deep.goto(`${service.url}/#/%E0%A4%A/..//`);
    await untilListed(deep, ['tides/', 'top.txt']);
  });

  test('names of any kind are opened: with spaces, signs of addresses, other scripts', async () => {
    const names = ['100% sure', 'a#b?c&d', '潮汐 表', '.hidden', "it's (1)", '<b>bold', '+plus+'];
    // One in the other: the address of the last one has all of them.
    const { service } = await startWith([`${names.join('/')}/in all.txt`]);
    const page = await openPage(service.url);
    for (const name of names) await folder(page, name).locator('a.name').click();
    await untilListed(page, ['in all.txt']);
    await page.reload();
    await untilListed(page, ['in all.txt']);
    for (const name of names.toReversed()) {
      await page.goBack();
      await untilListed(page, [`${name}/`]);
    }
  });

  test('orders are those of the files, and the search finds files of all folders, with the way to them', async () => {
    const { service } = await startWith(['b/x.txt', 'a/y/needle 1.txt', 'needle 2.txt', 'a.txt', 'z/needle 3.txt']);
    const page = await openPage(service.url);
    await untilListed(page, ['a/', 'b/', 'z/', 'a.txt', 'needle 2.txt']);
    await page.getByRole('button', { name: 'Name: sort by Name, A to Z' }).click();
    await page.getByRole('button', { name: 'Name: sort by Name, Z to A' }).click();
    await untilListed(page, ['z/', 'b/', 'a/', 'needle 2.txt', 'a.txt']);
    await page.getByLabel('Search by name').fill('needle');
    await untilListed(page, ['needle 3.txt', 'needle 2.txt', 'needle 1.txt']);
    await page.getByText('3 found').waitFor();
    await putFile(service.url, 'one more', { filename: 'b/c/needle 4.txt' });
    await untilListed(page, ['needle 4.txt', 'needle 3.txt', 'needle 2.txt', 'needle 1.txt']);
    await page.getByRole('link', { name: 'Open folder a/y' }).click();
    await untilListed(page, ['needle 1.txt']);
    expect(await page.getByLabel('Search by name').inputValue()).toBe('');
    // The link to the folder that is open ends a search, too.
    await page.getByLabel('Search by name').fill('needle');
    await file(page, 'needle 3.txt').waitFor();
    await page.getByRole('link', { name: 'Open folder a/y' }).click();
    await untilListed(page, ['needle 1.txt']);
  });

  test('what happens elsewhere is shown in the level that is open', async () => {
    const { service, ids } = await startWith(['f/g/1.txt', 'f/2.txt', 'h/3.txt', 'top.txt']);
    const page = await openPage(`${service.url}/#/f`);
    await untilListed(page, ['g/', '2.txt']);
    await putFile(service.url, 'deeper', { filename: 'f/g/i/4.txt' });
    await expect.poll(() => folder(page, 'g').locator('.when').textContent()).toBe('2 files');
    await putFile(service.url, 'new folder', { filename: 'f/new/5.txt' });
    await untilListed(page, ['g/', 'new/', '2.txt']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^4 files/);
    await putFile(service.url, 'elsewhere', { filename: 'h/6.txt' });
    const { fileId } = await putFile(service.url, 'here', { filename: 'f/7.txt' });
    await untilListed(page, ['g/', 'new/', '7.txt', '2.txt']);
    const rename = (id: string, name: string) =>
      send('PATCH', `${service.url}/api/files/${id}`, {
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
    await rename(fileId, 'f/g/7.txt');
    await untilListed(page, ['g/', 'new/', '2.txt']);
    await expect.poll(() => folder(page, 'g').locator('.when').textContent()).toBe('3 files');
    await rename(ids['top.txt'] ?? '', 'f/from the top.txt');
    await untilListed(page, ['g/', 'new/', 'from the top.txt', '2.txt']);
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    await expect.poll(() => folder(page, 'g').locator('.when').textContent()).toBe('2 files');
    await send('DELETE', `${service.url}/api/folders?path=f/new`);
    await untilListed(page, ['g/', 'from the top.txt', '2.txt']);
    await move(service, 'h', 'f/h');
    await untilListed(page, ['g/', 'h/', 'from the top.txt', '2.txt']);
    // The open folder itself moves, or one above it: the page stays in it.
    await folder(page, 'g').locator('a.name').click();
    await untilListed(page, ['i/', '1.txt']);
    await move(service, 'f', 'moved/away');
    await expect.poll(() => decodeURIComponent(new URL(page.url()).hash)).toBe('#/moved/away/g');
    await untilListed(page, ['i/', '1.txt']);
    await send('DELETE', `${service.url}/api/folders?path=moved`);
    await page.locator('#files-note').getByText('Nothing is in this folder.').waitFor();
  });

  test('a folder is renamed, deleted and undone like a file; its deletion is undone by what is sent into it', async () => {
    const { service } = await startWith(['one/a.txt', 'one/b.txt', 'two/c.txt', 'top.txt']);
    const page = await openPage(service.url);
    await folder(page, 'one').getByRole('button', { name: 'Rename: folder one' }).click();
    await page.keyboard.type('bad/name');
    await page.keyboard.press('Enter');
    await page.getByText('Not a name').waitFor();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('two');
    await page.keyboard.press('Enter');
    await page.getByText('There is a folder of that name already.').waitFor();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('zero');
    await page.keyboard.press('Enter');
    await untilListed(page, ['two/', 'zero/', 'top.txt']);
    expect(await namesOf(service)).toEqual(['top.txt', 'two/c.txt', 'zero/a.txt', 'zero/b.txt']);

    await folder(page, 'zero').getByRole('button', { name: 'Delete: folder zero' }).click();
    await untilListed(page, ['two/', 'top.txt']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^2 files/);
    await page.getByRole('button', { name: 'Undo' }).click();
    await untilListed(page, ['two/', 'zero/', 'top.txt']);
    await expect.poll(() => page.locator('#files-total').textContent()).toMatch(/^4 files/);

    await folder(page, 'zero').getByRole('button', { name: 'Delete: folder zero' }).click();
    await folder(page, 'zero').waitFor({ state: 'detached' });
    const dropped = await makeTempFolder();
    await mkdir(join(dropped, 'zero'));
    await writeFile(join(dropped, 'zero', 'late.txt'), 'late');
    await drop(page, [join(dropped, 'zero')]);
    await folder(page, 'zero').waitFor();
    await untilStatus(page, 'late.txt', /^Done/);
    await expect.poll(() => folder(page, 'zero').locator('.when').textContent()).toBe('3 files');

    await folder(page, 'zero').getByRole('button', { name: 'Delete: folder zero' }).click();
    await folder(page, 'zero').waitFor({ state: 'detached' });
    expect(await namesOf(service)).toContain('zero/a.txt');
    await page.reload();
    await expect.poll(() => namesOf(service)).toEqual(['top.txt', 'two/c.txt']);
  });

  test('folders are selected with files: counted, packed with their paths, deleted together', async () => {
    const { service } = await startWith(['x/one/a.txt', 'x/one/b/c.txt', 'x/two/d.txt', 'x/e.txt', 'x/f.txt']);
    const page = await openPage(`${service.url}/#/x`);
    await page.getByRole('checkbox', { name: 'Select folder one' }).click();
    await page.getByRole('checkbox', { name: 'Select e.txt' }).click({ modifiers: ['Shift'] });
    const words = page.locator('#selection-words');
    await expect.poll(() => words.textContent()).toBe('4 selected · 4.9 KiB');
    await page.getByRole('checkbox', { name: 'Select f.txt' }).click();
    await expect.poll(() => words.textContent()).toBe('3 selected · 3.9 KiB');
    const save = async (press: () => Promise<void>): Promise<{ name: string; entries: string[] }> => {
      const [download] = await Promise.all([page.waitForEvent('download'), press()]);
      const archive = readZip(await readFile(await download.path()));
      return { name: download.suggestedFilename(), entries: archive.map(({ name }) => name) };
    };
    const { entries } = await save(() => page.getByRole('button', { name: 'Download as ZIP' }).click());
    expect(entries).toEqual(['one/a.txt', 'one/b/c.txt', 'two/d.txt', 'e.txt']);
    const alone = await save(() => page.getByRole('button', { name: 'Download folder one as ZIP' }).click());
    expect(alone).toEqual({ name: 'one.zip', entries: ['one/a.txt', 'one/b/c.txt'] });

    await putFile(service.url, thousandBytes(), { filename: 'x/two/more.txt' });
    await expect.poll(() => words.textContent()).toBe('3 selected · 4.9 KiB');
    await page.locator('#selection').getByRole('button', { name: 'Delete' }).click();
    await untilListed(page, ['f.txt']);
    await page.locator('#toasts').getByText('3 entries deleted').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await untilListed(page, ['one/', 'two/', 'f.txt', 'e.txt']);
    await page.getByRole('checkbox', { name: 'Select all' }).check();
    await folder(page, 'two').locator('a.name').click();
    await untilListed(page, ['more.txt', 'd.txt']);
    expect(await page.locator('#selection').isVisible()).toBe(false);
  });

  test('files and folders are moved by the dialog, whose folders are chosen or typed, and back again', async () => {
    const { service } = await startWith(['a/1.txt', 'b/c/2.txt', 'd.txt', 'e.txt']);
    const page = await openPage(service.url);
    await page.getByRole('checkbox', { name: 'Select folder a' }).click();
    await page.getByRole('checkbox', { name: 'Select d.txt' }).click();
    await page.locator('#selection').getByRole('button', { name: 'Move' }).click();
    const dialog = page.getByRole('dialog', { name: 'Move: 2 entries' });
    await dialog.getByLabel('Into the folder').fill('a/b');
    await dialog.getByRole('button', { name: 'Move here' }).click();
    await dialog.getByText('A folder cannot come into itself.').waitFor();
    await dialog.getByLabel('Into the folder').fill('x/../y');
    await page.keyboard.press('Enter');
    await dialog.getByText('Not the path of a folder').waitFor();
    await dialog.getByLabel('Into the folder').fill('');
    await dialog.getByRole('button', { name: 'b', exact: true }).click();
    await dialog.getByRole('button', { name: 'c', exact: true }).click();
    expect(await dialog.getByLabel('Into the folder').inputValue()).toBe('b/c');
    await page.keyboard.press('Enter');
    await untilListed(page, ['b/', 'e.txt']);
    expect(await namesOf(service)).toEqual(['b/c/2.txt', 'b/c/a/1.txt', 'b/c/d.txt', 'e.txt']);
    expect(await page.locator('#selection').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await untilListed(page, ['a/', 'b/', 'e.txt', 'd.txt']);
    expect(await namesOf(service)).toEqual(['a/1.txt', 'b/c/2.txt', 'd.txt', 'e.txt']);

    // What has the name already is kept: the file gets a number, and the folder stays.
    await putFile(service.url, 'another', { filename: 'b/e.txt' });
    await putFile(service.url, 'and another', { filename: 'b/a/1.txt' });
    await page.getByRole('checkbox', { name: 'Select folder a' }).click();
    await page.getByRole('checkbox', { name: 'Select e.txt' }).click();
    await page.locator('#selection').getByRole('button', { name: 'Move' }).click();
    await page.getByLabel('Into the folder').fill('/b/');
    await page.keyboard.press('Enter');
    await page.getByText('a could not be moved. There is a folder of that name already.').waitFor();
    await untilListed(page, ['a/', 'b/', 'd.txt']);
    expect(await namesOf(service)).toContain('b/e (2).txt');
  });

  test('rows are dragged onto folders, and onto the way there', async () => {
    const { service } = await startWith(['a/1.txt', 'b/2.txt', 'c.txt', 'd.txt']);
    const page = await openPage(service.url);
    await file(page, 'c.txt').locator('.size').dragTo(folder(page, 'a').locator('.size'));
    await untilListed(page, ['a/', 'b/', 'd.txt']);
    await page.getByRole('checkbox', { name: 'Select folder b' }).click();
    await page.getByRole('checkbox', { name: 'Select d.txt' }).click();
    await file(page, 'd.txt').locator('.size').dragTo(folder(page, 'a').locator('.size'));
    await untilListed(page, ['a/']);
    await folder(page, 'a').locator('a.name').click();
    await untilListed(page, ['b/', 'd.txt', 'c.txt', '1.txt']);
    await folder(page, 'b')
      .locator('.size')
      .dragTo(page.getByRole('navigation').getByRole('link', { name: 'All files' }));
    await untilListed(page, ['d.txt', 'c.txt', '1.txt']);
    expect(await namesOf(service)).toEqual(['a/1.txt', 'a/c.txt', 'a/d.txt', 'b/2.txt']);
  });

  test('what is sent comes into the open folder, or into the one on which it is dropped; folders keep their structure', async () => {
    const { service } = await startWith(['here/1.txt', 'here/there/2.txt']);
    const page = await openPage(`${service.url}/#/here`);
    await page.getByText('They go into here').waitFor();
    await choose(page, chosen('chosen.txt', 'chosen'));
    await untilListed(page, ['there/', 'chosen.txt', '1.txt']);
    await page.getByRole('button', { name: 'New folder' }).click();
    const dialog = page.getByRole('dialog', { name: 'New folder' });
    await dialog.getByLabel('Name of the folder').fill('a/b');
    await page.keyboard.press('Enter');
    await dialog.getByText('Not a name').waitFor();
    await dialog.getByLabel('Name of the folder').fill('brand new');
    await page.keyboard.press('Enter');
    await page.locator('#files-note').getByText('Nothing is in this folder.').waitFor();
    const dropped = await makeTempFolder();
    await mkdir(join(dropped, 'tree/deep'), { recursive: true });
    await writeFile(join(dropped, 'tree/deep/leaf.txt'), 'leaf');
    await writeFile(join(dropped, 'tree/root.txt'), 'root');
    await drop(page, [join(dropped, 'tree')]);
    await untilListed(page, ['tree/']);
    await expect.poll(() => folder(page, 'tree').locator('.when').textContent()).toBe('2 files');
    expect(await namesOf(service)).toEqual([
      'here/1.txt',
      'here/brand new/tree/deep/leaf.txt',
      'here/brand new/tree/root.txt',
      'here/chosen.txt',
      'here/there/2.txt',
    ]);
  });

  test('for names that are taken it asks once for all: keep both, replace, or leave out', async () => {
    const { service } = await startWith([]);
    const put = (filename: string, text: string) => putFile(service.url, text, { filename });
    for (const name of ['a.txt', 'b.txt', 'c.txt']) await put(`in/${name}`, `the first ${name}`);
    const page = await openPage(`${service.url}/#/in`);
    await untilListed(page, ['c.txt', 'b.txt', 'a.txt']);
    const dialog = page.locator('dialog#taken');
    const text = async (name: string): Promise<string> => {
      const found = json<{ files: { name: string; url: string }[] }>(await send('GET', `${service.url}/api/files`));
      return (await send('GET', found.files.find((one) => one.name === name)?.url ?? '')).body;
    };

    await choose(page, [
      chosen('a.txt', 'another, longer a'),
      chosen('b.txt', 'another, longer b'),
      chosen('n.txt', 'new'),
    ]);
    await dialog.getByText('There are other files of 2 of these names').waitFor();
    // What is free does not wait for the answer.
    await file(page, 'n.txt').waitFor();
    await dialog.getByRole('button', { name: 'Keep both' }).click();
    await file(page, 'b (2).txt').waitFor();
    await file(page, 'a (2).txt').waitFor();
    expect(await text('in/a.txt')).toBe('the first a.txt');

    await choose(page, [chosen('a.txt', 'replaced a'), chosen('b.txt', 'replaced b')]);
    await dialog.getByRole('button', { name: 'Replace' }).click();
    await expect.poll(() => text('in/a.txt')).toBe('replaced a');
    await expect.poll(() => text('in/b.txt')).toBe('replaced b');

    await choose(page, [chosen('a.txt', 'not wanted at all'), chosen('m.txt', 'wanted')]);
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await file(page, 'm.txt').waitFor();
    expect(await text('in/a.txt')).toBe('replaced a');

    await page.getByRole('button', { name: 'Hide finished' }).click();
    // The same bytes once more: no question. Others of the same length: it asks once it has read them.
    await choose(page, chosen('a.txt', 'replaced a'));
    await page.locator('#upload-list > li[data-state="instant"]').waitFor();
    await choose(page, [
      chosen('a.txt', 'replaced A'),
      chosen('b.txt', 'replaced B'),
      chosen('c.txt', 'the first C.txt'),
      chosen('free.txt', 'is sent meanwhile, though as many as are sent at once wait for the answer'),
    ]);
    // All that the answer may be about are named.
    await dialog.getByText('There are other files of 3 of these names').waitFor();
    expect(await dialog.locator('li').allTextContents()).toEqual(['in/a.txt', 'in/b.txt', 'in/c.txt']);
    await file(page, 'free.txt').waitFor();
    expect(await dialog.isVisible()).toBe(true);
    await dialog.getByRole('button', { name: 'Replace' }).click();
    await expect.poll(() => text('in/a.txt')).toBe('replaced A');
    await expect.poll(() => text('in/b.txt')).toBe('replaced B');
    await expect.poll(() => text('in/c.txt')).toBe('the first C.txt');
    expect(await dialog.isVisible()).toBe(false);
    expect(await namesOf(service)).toEqual(
      ['a (2).txt', 'a.txt', 'b (2).txt', 'b.txt', 'c.txt', 'free.txt', 'm.txt', 'n.txt'].map((name) => `in/${name}`),
    );
  });

  test.each(LOCALES)('%s: axe-core finds nothing, and nothing is wider than the screen', async (locale) => {
    const long = '潮汐观测站的原始数据与校准记录 a name that is long enough for two lines of a phone';
    const { service } = await startWith([
      `Projects/Harbour/${long}/2026/readings/high.csv`,
      'Projects/Harbour/notes.txt',
      'Projects/Harbour/照片/dawn.jpg',
      'Projects/budget.xlsx',
      'top.txt',
    ]);
    const page = await openPage(service.url, { locale, hasTouch: true });
    const see = (part: string): Promise<void> => look(page, locale, `folders-${part}`);
    const open = (row: Locator): Promise<void> =>
      locale === 'zh-CN' ? row.locator('a.name').tap() : row.locator('a.name').click();
    await file(page, 'top.txt').waitFor();
    await open(folder(page, 'Projects'));
    await file(page, 'budget.xlsx').waitFor();
    await open(folder(page, 'Harbour'));
    await file(page, 'notes.txt').waitFor();
    await page.locator('#file-list > li .pick-box').first().click();
    await page.locator('#file-list > li .pick-box').nth(2).click();
    await see('1-level');
    await page.locator('#selection-move').click();
    await page.locator('#move-folders button').nth(1).waitFor();
    await see('2-move');
    await page.locator('#move-cancel').click();
    await page.locator('#selection-clear').click();
    await page.locator('#new-folder-open').click();
    await see('3-new');
    await page.locator('#new-folder-cancel').click();
    await choose(page, [chosen('notes.txt', 'other notes'), chosen('n.txt', 'n')]);
    await page.locator('dialog#taken').waitFor();
    await see('4-taken');
    await page.keyboard.press('Escape');
    await page.locator('#search').fill('h');
    await page.locator('.file.found').first().waitFor();
    await see('5-search');
    await page.goto(`${service.url}/#/Projects/Harbour/${encodeURIComponent(long)}/2026/readings`);
    await file(page, 'high.csv').waitFor();
    await page.locator('#catalog').evaluate('(element) => element.scrollIntoView()');
    await see('6-deep');
  });
});
