/** The page of a service with tokens. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bearer, putFile } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, file, findings, screenshot, untilStatus } from './support.ts';

const SECRET = 'annas-secret-1';
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

describeInBrowser('tokens', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: `anna:${SECRET}, bert:berts-secret-2` } });
    await putFile(service.url, PNG, { filename: 'annas.png' }, bearer(SECRET));
  });
  afterAll(() => service.stop());

  test('asked once; a wrong one is reported and keeps the queue; the right one resumes all uploads', async () => {
    const page = await openPage(service.url);
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    const dialog = page.getByRole('dialog', { name: 'A token is needed' });
    await dialog.waitFor();
    expect(await findings(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Later' }).click();
    await choose(page, chosen('patient.bin', makeBytes(100_000, 901)));
    await untilStatus(page, 'patient.bin', /^Waiting for a valid token/);
    await dialog.getByRole('textbox', { name: 'Token' }).fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('This token was refused. What you have chosen stays in the list.').waitFor();
    await screenshot(page, 'token');
    await dialog.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await untilStatus(page, 'patient.bin', /^Done, verified/);
    await file(page, 'annas.png').waitFor();

    await page.reload();
    await file(page, 'patient.bin').waitFor();
    expect(await dialog.isVisible()).toBe(false);
    expect(addresses.filter((address) => address.includes('secret'))).toEqual([]);
  });

  test('a service that does not answer refuses no token', async () => {
    const page = await openPage(service.url);
    await page.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await service.kill('SIGKILL');
    await page.keyboard.press('Enter');
    await page.getByText('The service does not answer right now. Try again in a moment.').waitFor();
    await service.restart();
    await page.getByRole('button', { name: 'Use it' }).click();
    await file(page, 'annas.png').waitFor();
  });

  test('previews and downloads need no token in an address, and no more than a moment of the page', async () => {
    const page = await openPage(service.url);
    await page.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await page.keyboard.press('Enter');
    const asked = page.waitForRequest((request) => /\/api\/files\/[^/]+\/content$/.test(request.url()));
    await page.getByRole('button', { name: 'Preview annas.png' }).click();
    await expect.poll(() => page.evaluate("document.querySelector('#preview img').naturalWidth")).toBe(1);
    expect((await asked).url()).not.toContain('?');
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.keyboard.press('Escape');
    const saved = page.waitForEvent('download');
    await file(page, 'annas.png')
      .getByRole('button', { name: /^Download/ })
      .click();
    expect((await saved).suggestedFilename()).toBe('annas.png');
    expect(await (await saved).failure()).toBeNull();
  });

  test('Forget token takes the cookie back, too', async () => {
    const page = await openPage(service.url);
    await page.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Preview annas.png' }).click();
    const cookies = async (): Promise<string[]> =>
      (await page.context().cookies([`${service.url}/files/x`, `${service.url}/api/files/x`])).map(({ name }) => name);
    // The cookies are there before the preview opens: it asks for them first.
    await page.locator('#preview[open]').waitFor();
    expect(await cookies()).toEqual(['tidemark_ticket', 'tidemark_ticket']);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await page.getByRole('dialog', { name: 'A token is needed' }).waitFor();
    expect(await cookies()).toEqual([]);
  });

  test('a token that is withdrawn while sending is asked for again, and nothing is lost', async () => {
    const page = await openPage(service.url);
    await page.getByRole('textbox', { name: 'Token' }).fill(SECRET);
    await page.keyboard.press('Enter');
    await file(page, 'annas.png').waitFor();
    await service.restart({ AUTH_TOKENS: 'anna:annas-next-secret' });
    await choose(page, chosen('renewed.bin', makeBytes(100_000, 902)));
    await untilStatus(page, 'renewed.bin', /^Waiting for a valid token/);
    await page.getByText('This token was refused.').waitFor();
    await page.getByRole('textbox', { name: 'Token' }).fill('annas-next-secret');
    await page.keyboard.press('Enter');
    await untilStatus(page, 'renewed.bin', /^Done, verified/);
  });
});
