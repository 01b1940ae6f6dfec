/** The page's setting of how many connections carry a file. */
import { expect, test } from 'vitest';
import { digestOfUrl } from '../harness/make-file.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  choose,
  findings,
  lineTo,
  makeFile,
  press,
  sentFrom,
  startOwn,
  untilSent,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;

describeInBrowser('several connections for a file', () => {
  test('are a setting that the browser keeps; after a reload each part resumes where it was', async () => {
    const service = await startOwn();
    const line = await lineTo(service, 4 * MIB);
    const big = await makeFile('parts.bin', 32 * MIB);
    const page = await openPage(line.url);
    const setting = page.getByLabel('Connections for each file');
    expect(await setting.inputValue()).toBe('1');
    await setting.selectOption('3');
    expect(await findings(page)).toEqual([]);
    await choose(page, big.path);
    await expect.poll(() => line.carriers(MIB), { timeout: 30_000, interval: 20 }).toBe(3);

    page.once('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await untilStatus(
      page,
      'parts.bin',
      /^Interrupted, [1-9]\d?\.\d MiB of 32\.0 MiB are kept\. Choose the file again/,
    );
    expect(await page.getByLabel('Connections for each file').inputValue()).toBe('3');
    await page.getByRole('button', { name: '中文' }).click();
    expect(await page.getByLabel('每个文件的连接数').inputValue()).toBe('3');
    await page.getByRole('button', { name: 'English' }).click();

    const offsets = sentFrom(page);
    const ended: number[] = [];
    page.on('response', (answer) => {
      if (answer.request().method() === 'DELETE') ended.push(answer.status());
    });
    await choose(page, big.path);
    await untilStatus(page, 'parts.bin', /^Done, verified/);
    // Three parts were under way, and none of them begins anew; the fourth had not begun. What was on its way when the page was
    // left may arrive now, and then a part asks once more.
    expect(offsets.filter((offset) => offset > 0).length).toBeGreaterThanOrEqual(3);
    expect(offsets.filter((offset) => offset === 0)).toHaveLength(1);
    // The parts take no space beside the file.
    await expect.poll(() => ended).toEqual([204, 204, 204, 204]);
    // What was under way when the page was left, in the buffers of three connections, may have been lost, and no more.
    expect(line.sentBytes()).toBeLessThan(1.75 * big.size);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
    await page.reload();
    await page.locator('#file-list > li').waitFor();
    expect(await page.locator('#file-list > li').count()).toBe(1);
    expect(await upload(page, 'parts.bin').count()).toBe(0);
  });

  test('wait out cut lines, pause and resume; cancelling ends all parts', async () => {
    const service = await startOwn();
    const line = await lineTo(service, 4 * MIB);
    const page = await openPage(line.url);
    await page.getByLabel('Connections for each file').selectOption('2');
    const big = await makeFile('rough.bin', 24 * MIB);
    await choose(page, big.path);
    await untilSent(page, 'rough.bin', 0.2);
    line.cut();
    await untilSent(page, 'rough.bin', 0.4);
    await press(page, 'rough.bin', /^Pause/);
    await untilStatus(page, 'rough.bin', /^Paused/);
    await press(page, 'rough.bin', /^Resume/);
    await untilStatus(page, 'rough.bin', /^Done, verified/);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5 });

    const other = await makeFile('cancelled.bin', 24 * MIB);
    await choose(page, other.path);
    await untilSent(page, 'cancelled.bin', 0.2);
    const deleted: string[] = [];
    page.on('request', (request) => {
      if (request.method() === 'DELETE') deleted.push(request.url());
    });
    await press(page, 'cancelled.bin', /^Cancel/);
    await expect.poll(() => deleted.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
  });
});
