/** A browser that keeps nothing for any site: the page works, and forgets. */
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { bearer, putFile } from '../http/support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeInBrowser, openForgetfulPage } from './browsers.ts';
import { choose, chosen, file, press, startOwn, untilStatus, upload } from './support.ts';

const MIB = 1024 * 1024;
const SECRET = 'annas-secret-1';
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

describeInBrowser('site data blocked', () => {
  async function refusals(page: Page): Promise<unknown> {
    return page.evaluate(`(async () => {
      const tried = [];
      for (const name of ['localStorage', 'sessionStorage']) {
        try { window[name]; tried.push(name + ' is there'); } catch (error) { tried.push(error.name); }
      }
      return tried;
    })()`);
  }

  test('files are sent, listed, previewed and saved; a reload forgets what was under way', async () => {
    const service = await startOwn();
    await putFile(service.url, PNG, { filename: 'there.png' });
    const page = await openForgetfulPage(service.url);
    expect(await refusals(page)).toEqual(['SecurityError', 'SecurityError']);
    await file(page, 'there.png').waitFor();
    await page.getByRole('button', { name: '中文' }).click();
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByRole('button', { name: 'Preview there.png' }).click();
    await expect.poll(() => page.evaluate("document.querySelector('#preview img').naturalWidth")).toBe(1);
    await page.keyboard.press('Escape');
    await choose(page, chosen('fleeting.bin', makeBytes(3 * MIB, 750)));
    await untilStatus(page, 'fleeting.bin', /^Done, verified/);
    await file(page, 'fleeting.bin').waitFor();
    await page.reload();
    await file(page, 'fleeting.bin').waitFor();
    expect(await upload(page, 'fleeting.bin').count()).toBe(0);
  });

  test('an upload waits for a lost connection and resumes', async () => {
    const service = await startOwn();
    const page = await openForgetfulPage(service.url);
    await page.getByText('Nothing here yet').waitFor();
    await service.kill('SIGKILL');
    const bytes = makeBytes(2 * MIB, 751);
    await choose(page, chosen('waiting.bin', bytes));
    await untilStatus(page, 'waiting.bin', /^Waiting for the connection/);
    await service.restart();
    await untilStatus(page, 'waiting.bin', /^Done, verified/);
    await press(page, 'waiting.bin', /^Hide/);
  });

  test('behind a token: asked for, kept until the page goes, and files are shown and saved without a cookie', async () => {
    const service = await startOwn({ env: { AUTH_TOKENS: `anna:${SECRET}` } });
    await putFile(service.url, PNG, { filename: 'annas.png' }, bearer(SECRET));
    const page = await openForgetfulPage(service.url);
    const dialog = page.getByRole('dialog', { name: 'A token is needed' });
    await dialog.getByRole('textbox', { name: 'Token' }).fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('This token was refused.').waitFor();
    await dialog.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    await file(page, 'annas.png').waitFor();
    await choose(page, chosen('hers.bin', makeBytes(MIB, 752)));
    await untilStatus(page, 'hers.bin', /^Done, verified/);

    await page.getByRole('button', { name: 'Preview annas.png' }).click();
    await expect.poll(() => page.evaluate("document.querySelector('#preview img').naturalWidth")).toBe(1);
    await page.keyboard.press('Escape');
    const saved = page.waitForEvent('download');
    await file(page, 'annas.png')
      .getByRole('button', { name: /^Download/ })
      .click();
    expect((await saved).suggestedFilename()).toBe('annas.png');
    expect(md5(await readFile(await (await saved).path()))).toBe(md5(PNG));

    await page.reload();
    await dialog.waitFor();
    await dialog.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await page.keyboard.press('Enter');
    await file(page, 'hers.bin').waitFor();
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await dialog.waitFor();
  });
});
