/** Sending from the page: choose, drop, paste; what is here already; what may go wrong. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeRandomFile } from '../harness/make-file.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { json } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, drop, file, press, showFinished, untilStatus, upload } from './support.ts';

const MIB = 1024 * 1024;

describeInBrowser('sending', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: { MAX_FILE_SIZE: '50MiB' } });
  });
  afterAll(() => service.stop());

  async function names(search = ''): Promise<string[]> {
    const answer = await send('GET', `${service.url}/api/files?limit=1000&search=${encodeURIComponent(search)}`);
    return json<{ files: { name: string }[] }>(answer).files.map(({ name }) => name);
  }

  test('a first file is sent, verified and listed; the same one again is instant', async () => {
    const bytes = makeBytes(3 * MIB, 501);
    const page = await openPage(service.url);
    await choose(page, chosen('first tide.bin', bytes));
    await untilStatus(page, 'first tide.bin', /^Done, verified/);
    await file(page, 'first tide.bin').waitFor();
    expect(await page.title()).toBe('✓ Tidemark');
    const stored = await fetch(`${service.url}/files/${md5(bytes)}`);
    expect(md5(new Uint8Array(await stored.arrayBuffer()))).toBe(md5(bytes));

    await choose(page, chosen('second name.bin', bytes));
    await untilStatus(page, 'second name.bin', /^Instant/);
    await file(page, 'second name.bin').waitFor();
    expect(await page.locator('#live').textContent()).toContain('second name.bin was there already');
  });

  test('several at once, an empty one among them, and the same bytes twice', async () => {
    const page = await openPage(`${service.url}/file/upload`);
    const twice = makeBytes(MIB, 502);
    const many = Array.from({ length: 8 }, (_, index) => chosen(`many-${index}.bin`, makeBytes(200_000, 510 + index)));
    await choose(page, [
      ...many,
      chosen('many-empty.txt', ''),
      chosen('many-a.bin', twice),
      chosen('many-b.bin', twice),
    ]);
    await page.locator('#summary', { hasText: 'All 11 uploads are done' }).waitFor();
    expect(new Set(await names('many-'))).toHaveLength(11);
    await showFinished(page);
    expect(await upload(page, 'many-empty.txt').locator('.status').textContent()).toContain('0 B');
  });

  test('a folder is dropped with all that is in it', async () => {
    const folder = join(await makeTempFolder(), 'harbour');
    await mkdir(join(folder, 'piers/old'), { recursive: true });
    const paths = ['quay.txt', 'piers/one.txt', 'piers/old/two.txt'];
    await Promise.all(paths.map((path) => writeFile(join(folder, path), `at ${path}`)));
    const page = await openPage(service.url);
    await drop(page, [folder]);
    for (const path of paths) await untilStatus(page, `harbour/${path}`, /^Done/);
    expect(await names('two.txt')).toEqual(['harbour/piers/old/two.txt']);
  });

  test('a pasted picture is sent', async () => {
    const page = await openPage(service.url);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.evaluate(`(async () => {
      const picture = new OffscreenCanvas(8, 8);
      picture.getContext('2d').fillRect(0, 0, 4, 4);
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': await picture.convertToBlob() })]);
    })()`);
    await page.keyboard.press('Control+V');
    await untilStatus(page, 'image.png', /^Done/);
  });

  test('a file beyond the limit is refused before a byte is sent, with the limit', async () => {
    const path = join(await makeTempFolder(), 'flood.bin');
    await makeRandomFile(path, 51 * MIB);
    const page = await openPage(service.url);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
    await choose(page, path);
    await untilStatus(page, 'flood.bin', /^Too large: files of at most 50\.0 MiB are accepted/);
    expect(asked.filter((one) => /uploads|check/.test(one))).toEqual([]);
  });

  test('what was just deleted, and is sent again, stays', async () => {
    const bytes = makeBytes(200_000, 530);
    const page = await openPage(service.url);
    await choose(page, chosen('wanted after all.bin', bytes));
    await file(page, 'wanted after all.bin').waitFor();
    await page.getByRole('button', { name: 'Delete: wanted after all.bin' }).click();
    await page.getByRole('button', { name: 'Undo' }).waitFor();
    await press(page, 'wanted after all.bin', /^Hide/);
    await choose(page, chosen('wanted after all.bin', bytes));
    await untilStatus(page, 'wanted after all.bin', /^Instant/);
    await file(page, 'wanted after all.bin').waitFor();
    // A page that is left carries out the deletions that were not undone.
    await page.reload();
    await file(page, 'wanted after all.bin').waitFor();
    expect(await names('wanted after all')).toEqual(['wanted after all.bin']);
  });

  test('names of any kind are shown as they are, and harmlessly', async () => {
    const page = await openPage(service.url);
    const odd = [
      '<img src=x onerror="document.title=1">.txt',
      '🌊🌊 Ebbe & Flut.txt',
      'مد وجزر.txt',
      `${'n'.repeat(251)}.txt`,
      'gepj.\u202etxt.exe',
    ];
    await choose(
      page,
      odd.map((name, index) => chosen(name, `odd ${index}`)),
    );
    await page.locator('#summary', { hasText: 'All 5 uploads are done' }).waitFor();
    const stored = await names();
    for (const name of odd) expect(stored).toContain(name);
    expect(await page.locator('#file-list img, #upload-list img').count()).toBe(0);
    await file(page, 'gepj.\ufffdtxt.exe').waitFor();
    await page.getByRole('button', { name: /^Rename: <img/ }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Delete: <img/ }).click();
    await page.locator('.toast', { hasText: odd[0] ?? '' }).waitFor();
    expect(await page.locator('.toast img').count()).toBe(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    // What is too long for the service is shortened, with its extension.
    await choose(page, chosen(`${'长'.repeat(300)}.txt`, 'long'));
    await page.locator('#summary', { hasText: 'All 6 uploads are done' }).waitFor();
    expect(await names('长')).toEqual([`${'长'.repeat(251)}.txt`]);
  });

  test('without JavaScript the form sends one file', async () => {
    const page = await openPage(service.url, { javaScriptEnabled: false });
    await page.locator('input[type=file]').setInputFiles(chosen('plain.txt', 'plain form'));
    await page.getByRole('button', { name: 'Upload · 上传' }).click();
    await page.waitForURL('**/file/upload/suc');
    expect(await names('plain.txt')).toEqual(['plain.txt']);
  });
});
