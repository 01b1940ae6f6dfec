/** Names and types that the page sends: never a word for what there is not, and names by the service's own rule. */
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanName } from '../../server/wire/labels.ts';
import { json } from '../http/support.ts';
import { makeBytes, md5, sha256 as sha256Of } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { encodeMetadata, send } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, drop, file, upload } from './support.ts';

interface Listed {
  id: string;
  name: string;
  type: string | null;
  md5: string;
}

/** What the page has declared of its uploads, in their order. */
function declared(page: Page): Map<string, string>[] {
  const seen: Map<string, string>[] = [];
  page.on('request', (request) => {
    const header = request.headers()['upload-metadata'];
    if (header === undefined) return;
    const pairs = header.split(',').map((pair) => pair.trim().split(' '));
    seen.push(new Map(pairs.map(([key = '', value = '']) => [key, Buffer.from(value, 'base64').toString('utf8')])));
  });
  return seen;
}

describeInBrowser('labels', () => {
  let service: RunningService;
  let seed = 8_000;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  async function listed(bytes: Buffer): Promise<Listed | undefined> {
    const { files } = json<{ files: Listed[] }>(await send('GET', `${service.url}/api/files?limit=100`));
    return files.find((each) => each.md5 === md5(bytes));
  }

  function fresh(): Buffer {
    seed += 1;
    return makeBytes(300, seed);
  }

  /** Waits until the newest upload is done, and gives the name that its row shows. */
  async function shownWhenDone(page: Page): Promise<string | null> {
    const row = page.locator('#upload-list > li[data-state="done"]');
    await row.waitFor();
    const name = await row.locator('.name').textContent();
    await row.getByRole('button', { name: /^Hide/ }).click();
    await row.waitFor({ state: 'detached' });
    return name;
  }

  test('types that the browser does not know are not sent, and nothing is that is not there', async () => {
    const page = await openPage(service.url);
    const labels = declared(page);
    const folder = await makeTempFolder();
    const sendNamed = async (name: string, mimeType: string | null): Promise<void> => {
      const bytes = fresh();
      // Of a file of the disk the browser finds the type itself.
      if (mimeType === null) await writeFile(join(folder, name), bytes);
      await choose(page, mimeType === null ? join(folder, name) : { ...chosen(name, bytes), mimeType });
      expect(await shownWhenDone(page)).toBe(name);
      const { filename, sha256, ...others } = Object.fromEntries(labels.pop() ?? []);
      expect([filename, sha256, others]).toEqual([name, sha256Of(bytes), { md5: md5(bytes) }]);
      expect(await listed(bytes)).toMatchObject({ name });
    };
    for (const name of ['Makefile', 'table.parquet', 'nginx.conf', 'undefined', 'null']) await sendNamed(name, null);
    await sendNamed('picture.xyz', 'image/*');
    await sendNamed('notes', 'text');
    await choose(page, { ...chosen('letter.txt', fresh()), mimeType: 'text/plain;charset=utf-8' });
    await shownWhenDone(page);
    expect(labels.pop()?.get('filetype')).toBe('text/plain;charset=utf-8');
  });

  test('a file in a folder is sent with its path, and without a type that is none', async () => {
    const folder = await makeTempFolder();
    await writeFile(join(folder, 'Makefile'), fresh());
    const page = await openPage(service.url);
    const labels = declared(page);
    await drop(page, [folder]);
    await shownWhenDone(page);
    expect([...(labels[0]?.keys() ?? [])].toSorted()).toEqual(['filename', 'md5', 'sha256']);
    expect(labels[0]?.get('filename')).toBe(`${basename(folder)}/Makefile`);
  });

  test.each([
    ['a backslash', 'a\\b.txt', 'a_b.txt'],
    ['a tab', 'c\tb.txt', 'c_b.txt'],
    ['a line end', 'd\nb.txt', 'd_b.txt'],
    ['DEL', 'e\u007fb.txt', 'e_b.txt'],
    ['a line separator', 'f\u2028b.txt', 'f_b.txt'],
    ['a leading byte order mark', '\ufeffa.txt', 'a.txt'],
    ['100 Chinese characters', `${'潮'.repeat(100)}.txt`, `${'潮'.repeat(100)}.txt`],
    ['255 Chinese characters', `${'潮'.repeat(251)}.txt`, `${'潮'.repeat(251)}.txt`],
    ['300 Chinese characters', `${'汐'.repeat(300)}.txt`, `${'汐'.repeat(251)}.txt`],
    ['300 signs of four bytes, no extension', '🌊'.repeat(300), '🌊'.repeat(255)],
    ['a path of Windows', 'C:\\Users\\me\\notes.txt', 'notes.txt'],
  ])('%s: sent, kept and shown by the one rule', async (_, name, kept) => {
    const page = await openPage(service.url);
    const labels = declared(page);
    const bytes = fresh();
    await choose(page, chosen(name, bytes));
    expect(await shownWhenDone(page)).toBe(kept);
    expect(labels[0]?.get('filename')).toBe(kept);
    // The service, which is asked for the name as it was, comes to the same.
    expect(cleanName(name)).toBe(kept);
    expect(await listed(bytes)).toMatchObject({ name: kept });
    // Again, and instant: still one file.
    await choose(page, chosen(name, bytes));
    await page.locator('#upload-list > li[data-state="instant"]').waitFor();
    const { files } = json<{ files: Listed[] }>(await send('GET', `${service.url}/api/files?limit=100`));
    expect(files.filter((each) => each.md5 === md5(bytes))).toHaveLength(1);
  });

  test('a name of which nothing is left: the page shows the one that the service found', async () => {
    const page = await openPage(service.url);
    const bytes = fresh();
    await choose(page, chosen('\ufeff', bytes));
    expect(await shownWhenDone(page)).toBe(md5(bytes));
  });

  test('a file of the disk with a name that is cleaned is sent as well', async () => {
    const folder = await makeTempFolder();
    const path = join(folder, 'a\\b\tc\nd\u007f.bin');
    const bytes = fresh();
    await writeFile(path, bytes);
    const page = await openPage(service.url);
    await choose(page, path);
    expect(await shownWhenDone(page)).toBe('a_b_c_d_.bin');
    expect(await listed(bytes)).toMatchObject({ name: 'a_b_c_d_.bin' });
  });

  test('an upload that another client began under the uncleaned name is resumed, under the name it has', async () => {
    const page = await openPage(service.url);
    const bytes = makeBytes(100_000, (seed += 1));
    const metadata = encodeMetadata({ filename: 'x\\y.bin', md5: md5(bytes) });
    await send('POST', `${service.url}/uploads`, {
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': String(bytes.length), 'Upload-Metadata': metadata },
    });
    await choose(page, chosen('x\\y.bin', bytes));
    expect(await shownWhenDone(page)).toBe('x_y.bin');
  });

  test('a name that is typed may have 255 characters of any kind', async () => {
    const page = await openPage(service.url);
    await choose(page, chosen('typed.bin', fresh()));
    await shownWhenDone(page);
    await file(page, 'typed.bin')
      .getByRole('button', { name: /^Rename/ })
      .click();
    const input = page.getByRole('textbox', { name: 'New name of typed.bin' });
    await input.fill('潮'.repeat(256));
    await page.keyboard.press('Enter');
    await page.getByText('at most 255 characters').waitFor();
    await input.fill('潮'.repeat(255));
    await page.keyboard.press('Enter');
    await file(page, '潮'.repeat(255)).waitFor();
    expect(await upload(page, 'typed.bin').count()).toBe(0);
  });
});
