/** The list of files in the page. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { json, putFile } from '../http/support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { file } from './support.ts';

const COUNT = 1_200;

/** One second of silence, and a picture of one dot, as small as they come. */
const WAV = Buffer.concat([
  Buffer.from('RIFF$\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\0\x1f\0\0', 'latin1'),
  Buffer.alloc(7_936, 0x80),
]);
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

describeInBrowser('the catalog', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({});
    await putFile(service.url, 'one content', { filename: 'numbered-0000.txt' });
    const hash = md5(Buffer.from('one content'));
    // Names for the same content: no transfer.
    for (let at = 1; at < COUNT; at += 20) {
      await Promise.all(
        Array.from({ length: Math.min(20, COUNT - at) }, (_, index) => {
          const name = `numbered-${String(at + index).padStart(4, '0')}.txt`;
          return send('GET', `${service.url}/check?md5=${hash}&filename=${name}`);
        }),
      );
    }
  });
  afterAll(() => service.stop());

  async function names(search: string): Promise<string[]> {
    const answer = await send('GET', `${service.url}/api/files?search=${encodeURIComponent(search)}`);
    return json<{ files: { name: string }[] }>(answer).files.map(({ name }) => name);
  }

  test('scrolling reaches the last of many, and few rows are in the document at a time', async () => {
    const page = await openPage(service.url);
    await page.getByRole('button', { name: 'Name: sort by Name, A to Z' }).click();
    await file(page, 'numbered-0000.txt').waitFor();
    const last = file(page, `numbered-${COUNT - 1}.txt`);
    await page.mouse.move(500, 500);
    while (!(await last.isVisible())) {
      await page.mouse.wheel(0, 20_000);
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(resolve))');
    }
    expect(await page.locator('#file-list > li').count()).toBeLessThan(50);
    expect(await last.getAttribute('aria-posinset')).toBe(String(COUNT));
    await page.mouse.wheel(0, -1e6);
    await file(page, 'numbered-0000.txt').waitFor();
  });

  test('what comes while the next page cannot be loaded is listed', async () => {
    const page = await openPage(service.url);
    await file(page, 'numbered-').first().waitFor();
    const nextPages = /[/]api[/]files[?].*cursor=/;
    await page.route(nextPages, (route) => route.abort());
    await page.mouse.move(500, 500);
    await page.mouse.wheel(0, 100_000);
    await page.locator('#files-note').waitFor();
    const total = page.locator('#files-total');
    const before = await total.textContent();
    await putFile(service.url, makeBytes(1_000, 803), { filename: 'meanwhile.txt' });
    await expect.poll(() => total.textContent()).not.toBe(before);
    await page.unroute(nextPages);
    await page.locator('#files-note').waitFor({ state: 'hidden' });
    await page.mouse.wheel(0, -1e6);
    await file(page, 'meanwhile.txt').waitFor();
  });

  test('search and sort', async () => {
    const page = await openPage(service.url);
    await page.getByLabel('Search by name').fill('NUMBERED-07');
    await expect.poll(() => page.locator('#file-list > li').first().getAttribute('aria-setsize')).toBe('100');
    await page.getByRole('button', { name: 'Name: sort by Name, A to Z' }).click();
    await expect.poll(() => page.locator('#file-list .name').first().textContent()).toBe('numbered-0700.txt');
    await page.getByRole('button', { name: 'Name: sort by Name, Z to A' }).click();
    await expect.poll(() => page.locator('#file-list .name').first().textContent()).toBe('numbered-0799.txt');
    await page.getByLabel('Search by name').fill('nowhere');
    await page.getByText('No name contains this.').waitFor();
  });

  test("others' uploads, renamings and deletions appear without a reload", async () => {
    const page = await openPage(service.url);
    await file(page, 'numbered-').first().waitFor();
    const { fileId } = await putFile(service.url, makeBytes(2_000, 801), { filename: 'from afar.txt' });
    await file(page, 'from afar.txt').waitFor();
    await send('PATCH', `${service.url}/api/files/${fileId}`, {
      headers: { 'Content-Type': 'application/json' },
      body: '{"name": "renamed afar.txt"}',
    });
    await file(page, 'renamed afar.txt').waitFor();
    // Also after the service was away.
    await service.restart();
    await putFile(service.url, makeBytes(2_000, 802), { filename: 'after restart.txt' });
    await file(page, 'after restart.txt').waitFor();
    await send('DELETE', `${service.url}/api/files/${fileId}`);
    await file(page, 'renamed afar.txt').waitFor({ state: 'detached' });
  });

  test('rename in place: Enter saves, Escape does not, an invalid name is refused', async () => {
    await putFile(service.url, makeBytes(3_000, 803), { filename: 'old name.txt' });
    const page = await openPage(service.url);
    await file(page, 'old name.txt').getByRole('button', { name: 'Rename: old name.txt' }).click();
    await page.keyboard.type('not wanted');
    await page.keyboard.press('Escape');
    expect(await file(page, 'old name.txt').locator('form').count()).toBe(0);
    await file(page, 'old name.txt').getByRole('button', { name: 'Rename: old name.txt' }).click();
    await page.keyboard.type('a//b');
    await page.keyboard.press('Enter');
    await page.getByText('Not a name for a file').waitFor();
    await page.keyboard.press('Escape');
    expect(await file(page, 'old name.txt').locator('form').count()).toBe(0);
    await file(page, 'old name.txt').getByRole('button', { name: 'Rename: old name.txt' }).click();
    await page.keyboard.type('新名字');
    await page.keyboard.press('Enter');
    await file(page, '新名字.txt').waitFor();
    await expect.poll(() => names('新名字')).toEqual(['新名字.txt']);
  });

  test('delete can be undone; else it is done, also when the page is left', async () => {
    await putFile(service.url, makeBytes(3_000, 804), { filename: 'kept after all.txt' });
    await putFile(service.url, makeBytes(3_000, 805), { filename: 'really gone.txt' });
    const page = await openPage(service.url);
    await file(page, 'kept after all.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await file(page, 'kept after all.txt').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await file(page, 'kept after all.txt').waitFor();
    await file(page, 'really gone.txt')
      .getByRole('button', { name: /^Delete/ })
      .click();
    await file(page, 'really gone.txt').waitFor({ state: 'detached' });
    expect(await names('really gone')).toEqual(['really gone.txt']);
    await page.reload();
    await expect.poll(() => names('really gone')).toEqual([]);
    expect(await names('kept after all')).toEqual(['kept after all.txt']);
  });

  test('MD5 and address are copied', async () => {
    const bytes = makeBytes(3_000, 806);
    const { url } = await putFile(service.url, bytes, { filename: 'copied.txt' });
    const page = await openPage(service.url);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await file(page, 'copied.txt')
      .getByRole('button', { name: `Copy MD5 ${md5(bytes).slice(0, 8)}` })
      .click();
    await page
      .getByText(`Copied: ${md5(bytes)}`)
      .first()
      .waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(md5(bytes));
    await file(page, 'copied.txt')
      .getByRole('button', { name: /^Copy address/ })
      .click();
    await page.getByText(`Copied: ${url}`).first().waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(url);
  });

  /** A film of some frames, which the browser takes itself. */
  async function film(page: Page): Promise<Uint8Array> {
    const frames = await page.evaluate(`new Promise((resolve) => {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 16;
      const context = canvas.getContext('2d');
      const draw = () => context.fillRect(Math.random() * 16, 0, 4, 16);
      const drawing = setInterval(draw, 20);
      const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: 'video/webm' });
      recorder.ondataavailable = async ({ data }) => {
        if (data.size === 0) return;
        recorder.ondataavailable = null;
        recorder.stop();
        clearInterval(drawing);
        resolve([...new Uint8Array(await data.arrayBuffer())]);
      };
      recorder.start(500);
    })`);
    return Uint8Array.from(frames as number[]);
  }

  test('pictures, sound, films and PDF are previewed, sound and films by ranges; others are saved', async () => {
    await putFile(service.url, PNG, { filename: 'dot.png' });
    await putFile(service.url, WAV, { filename: 'silence.wav' });
    await putFile(service.url, '%PDF-1.4\n', { filename: 'chart.pdf' });
    const page = await openPage(service.url);
    await page.getByRole('button', { name: 'Preview dot.png' }).click();
    await page.getByRole('dialog').getByRole('img', { name: 'dot.png' }).waitFor();
    await expect.poll(() => page.evaluate("document.querySelector('#preview img').naturalWidth")).toBe(1);
    await page.keyboard.press('Escape');

    const answered = page.waitForResponse((response) => /\/api\/files\/[^/]+\/content$/.test(response.url()));
    await page.getByRole('button', { name: 'Preview silence.wav' }).click();
    expect((await answered).status()).toBe(206);
    await expect.poll(() => page.evaluate("document.querySelector('#preview audio').duration")).toBeCloseTo(0.99, 1);
    await page.keyboard.press('Escape');

    await putFile(service.url, await film(page), { filename: 'waves.webm' });
    const played = page.waitForResponse((response) => /\/api\/files\/[^/]+\/content$/.test(response.url()));
    await page.getByRole('button', { name: 'Preview waves.webm' }).click();
    expect((await played).status()).toBe(206);
    await expect.poll(() => page.evaluate("document.querySelector('#preview video').videoWidth")).toBe(16);
    await page.keyboard.press('Escape');

    await page.getByRole('button', { name: 'Preview chart.pdf' }).click();
    await page.locator('#preview iframe').waitFor();
    await page.getByRole('button', { name: 'Close' }).click();

    const saved = page.waitForEvent('download');
    await file(page, 'silence.wav')
      .getByRole('button', { name: /^Download/ })
      .click();
    expect((await saved).suggestedFilename()).toBe('silence.wav');
  });
});
