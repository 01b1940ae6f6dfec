/** Upload links in the browser: made by their owner, and used by senders without an account, who see what they send. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedLinkJson, NewUploadLinkJson, SentPageJson } from '../../server/wire/links.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { bearer, json } from '../http/support.ts';
import { describeInBrowser, openPage, startBrowser } from './browsers.ts';
import {
  choose,
  chosen,
  findings,
  lineTo,
  makeFile,
  resumedFrom,
  screenshot,
  sentFrom,
  untilSent,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;
/** More than the page keeps of a file that was chosen: after a reload it has to be chosen again. */
const SIZE = 20 * MIB;
const PHONE = { width: 360, height: 740 };
const ANNA = bearer('annas-secret-1');

describeInBrowser('upload links', () => {
  let service: RunningService;
  let open: RunningService;
  beforeAll(async () => {
    [service, open] = await Promise.all([
      startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1' } }),
      startService(),
    ]);
  });
  afterAll(() => Promise.all([service.stop(), open.stop()]));

  async function request(given: Partial<NewUploadLinkJson> = {}): Promise<CreatedLinkJson> {
    const body = JSON.stringify({ kind: 'upload', folder: 'inbox', ...given });
    const headers = { ...ANNA, 'Content-Type': 'application/json' };
    return json<CreatedLinkJson>(await send('POST', `${service.url}/api/links`, { headers, body }));
  }

  async function sentBy(id: string): Promise<SentPageJson['uploads']> {
    const answer = await send('GET', `${service.url}/api/links/${id}/uploads`, { headers: ANNA });
    return json<SentPageJson>(answer).uploads;
  }

  function throughLine(url: string, line: { port: number }): string {
    return url.replace(`:${service.port}/`, `:${line.port}/`);
  }

  test('a file is sent, verified, and listed for its sender, also after a reload; others see nothing of it', async () => {
    const { id, url } = await request({ name: 'For Anna' });
    const page = await openPage(url);
    await page.getByRole('heading', { name: 'For Anna' }).waitFor();
    await page.getByLabel(/^Your name/).fill('Bob');
    await page.getByLabel('A note').fill('as promised');
    const bytes = makeBytes(300_000, 9_001);
    await choose(page, [chosen('tide.bin', bytes)]);
    await untilStatus(page, 'tide.bin', /^Done, verified/);
    const listed = page.locator('#sent-list li', { hasText: 'tide.bin' });
    await listed.getByText(md5(bytes)).waitFor();
    expect(await upload(page, 'tide.bin').getByRole('button', { name: /^Open/ }).count()).toBe(0);
    expect(await sentBy(id)).toMatchObject([
      { name: 'inbox/tide.bin', state: 'complete', sender: 'Bob', note: 'as promised' },
    ]);
    await page.reload();
    await listed.waitFor();
    const other = await openPage(url);
    await other.getByRole('heading', { name: 'For Anna' }).waitFor();
    expect(await other.locator('#sent-list li').count()).toBe(0);
  });

  test('the tab is killed, opened again, and the upload finishes from where it was', async () => {
    const { id, url } = await request();
    const line = await lineTo(service, 6 * MIB);
    const address = throughLine(url, line);
    const big = await makeFile('ocean.bin', SIZE);
    const profile = await makeTempFolder();
    const first = await startBrowser(profile);
    await first.page.goto(address);
    await choose(first.page, big.path);
    await untilSent(first.page, 'ocean.bin', 0.1);
    await first.kill();

    const { page } = await startBrowser(profile);
    await page.setViewportSize(PHONE);
    await page.goto(address);
    await untilStatus(page, 'ocean.bin', /^Interrupted, .* are kept\. Choose the file again/);
    await fits(page, 'request-phone-en-interrupted');
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await untilStatus(page, 'ocean.bin', /^Done, verified/, 90_000);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await sentBy(id)).toMatchObject([{ state: 'complete', size: SIZE }]);
    await page.locator('#sent-list li', { hasText: big.md5 }).waitFor();
  });

  test('a limit is told before, and in the row of the file that does not fit', async () => {
    const { url } = await request({ maxFiles: 1, types: ['.txt'] });
    const page = await openPage(url);
    await page.getByText('one more file · these types: .txt').waitFor();
    await choose(page, [chosen('a.bin', 'x'.repeat(9))]);
    await untilStatus(page, 'a.bin', /^The link takes no files of this type/);
    await choose(page, [chosen('a.txt', 'high water'), chosen('b.txt', 'low water')]);
    await page.locator('#upload-list').getByText('The link has been sent as many files as it takes.').waitFor();
    await page
      .locator('#upload-list')
      .getByText(/^Done, verified/)
      .waitFor();
  });

  test('a password is asked for first', async () => {
    const { id, url } = await request({ password: 'Ebbe und Flut' });
    const page = await openPage(url);
    await page.getByLabel('Password').fill('Ebbe und Flut');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.locator('body.ready').waitFor();
    await choose(page, [chosen('p.txt', 'high water')]);
    await untilStatus(page, 'p.txt', /^Done, verified/);
    expect(await sentBy(id)).toHaveLength(1);
  });

  test('the owner makes one by the dialog, and the list of links shows what was sent by it', async () => {
    const page = await openPage(open.url);
    const field = page.locator('#request-address');
    await page.getByRole('button', { name: 'Request files' }).click();
    await page.locator('#request-folder').fill('from friends');
    expect(await field.isVisible()).toBe(false);
    await page.getByLabel('Number of files').fill('2');
    await page.locator('#request-make').click();
    await field.waitFor();
    await expect.poll(() => field.inputValue()).toContain('/s/');
    const friend = await openPage(await field.inputValue());
    await friend.locator('body.ready').waitFor();
    await choose(friend, [chosen('f.txt', 'high water')]);
    await untilStatus(friend, 'f.txt', /^Done, verified/);
    await page.locator('#request-close').click();
    await expect.poll(() => field.inputValue()).toBe('');
    await page.getByRole('button', { name: 'Links', exact: true }).click();
    const row = page.locator('#links-list li').first();
    await row.getByText('from friends').waitFor();
    await row.getByText('1 file sent, 10 B').waitFor();
    await page.keyboard.press('Escape');
    const sent = page.locator('#file-list li', { hasText: 'f.txt' });
    await page.goto(`${open.url}/#/from%20friends`);
    await sent.locator('.from', { hasText: 'Sent by a link' }).waitFor();
    await sent.getByRole('button', { name: /^Preview/ }).click();
    await page.locator('#preview-from', { hasText: 'Sent by a link' }).waitFor();
    await page.keyboard.press('Escape');
    // Where a folder is open, it is the one that is meant.
    await page.goto(`${open.url}/#/from%20friends`);
    await page.getByRole('button', { name: 'Request files' }).click();
    expect(await page.locator('#request-folder').inputValue()).toBe('from friends');
  });

  async function fits(page: Page, name: string): Promise<void> {
    await screenshot(page, name);
    expect(await findings(page), name).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), name).toBeLessThanOrEqual(0);
  }

  test.each([
    ['request-phone-light-zh', { locale: 'zh-CN', colorScheme: 'light', viewport: PHONE }],
    ['request-desktop-dark-en', { locale: 'en-GB', colorScheme: 'dark', viewport: { width: 1_000, height: 760 } }],
  ] as const)('%s: axe-core finds nothing, and nothing is wider than the screen', async (name, options) => {
    const password = 'Ebbe und Flut';
    const limits = { maxFiles: 5, maxBytes: 1_000_000, types: ['image/*', '.txt'], expiresIn: 60_000 };
    const { id, url } = await request({ ...limits, password });
    const page = await openPage(url, options);
    await page.locator('#password').fill(password);
    await fits(page, `${name}-0-password`);
    await page.locator('form button').click();
    await page.locator('#terms:not(:empty)').waitFor();
    await fits(page, `${name}-1-empty`);
    await choose(page, [chosen(`${'a long name '.repeat(12)}.txt`, 'high water'), chosen('no.bin', 'x')]);
    await page.locator('#sent-list li').waitFor();
    await fits(page, `${name}-2-sent`);
    const owner = await openPage(open.url, options);
    await owner.locator('#request-open').click();
    await fits(owner, `${name}-3-form`);
    await owner.locator('#request-folder').fill('inbox');
    await owner.locator('#request-make').click();
    await owner.locator('#request-address').waitFor();
    await fits(owner, `${name}-4-made`);
    expect((await send('DELETE', `${service.url}/api/links/${id}`, { headers: ANNA })).status).toBe(204);
    await choose(page, [chosen('late.txt', 'ebb')]);
    await upload(page, 'late.txt')
      .getByText(/^The link is no longer there|^链接已不存在/)
      .waitFor();
    await fits(page, `${name}-5-revoked`);
  });
});
