/** The page when the line breaks, the service dies, or the page itself is closed. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { digestOfUrl, makeRandomFile } from '../../scripts/support/make-file.ts';
import { type Line, openLine } from '../../scripts/support/proxy.ts';
import { json, storedNames } from '../http/support.ts';
import { makeBytes } from '../support/bytes.ts';
import { type RunningService, startService } from '../support/service.ts';
import { makeTempFolder } from '../support/temp-folder.ts';
import { send } from '../support/tus.ts';
import { choose, chosen, describeInBrowser, drop, file, openPage, untilStatus, upload } from './support.ts';

const MIB = 1024 * 1024;

/** As far as it is looked at in the browser. */
interface Row {
  dataset: { state: string };
  querySelector(name: 'progress'): { value: number };
}

describeInBrowser('a broken line', () => {
  async function start(env: NodeJS.ProcessEnv = {}): Promise<RunningService> {
    const service = await startService({ env });
    onTestFinished(() => service.stop());
    return service;
  }

  async function lineTo(service: RunningService, bytesPerSecond: number): Promise<Line> {
    const line = await openLine({ toPort: service.port, bytesPerSecond });
    onTestFinished(() => line.close());
    return line;
  }

  async function makeFile(name: string, size: number): Promise<{ path: string; md5: string; size: number }> {
    const path = join(await makeTempFolder(), name);
    return { path, md5: await makeRandomFile(path, size), size };
  }

  /** Waits until this part of it was sent. */
  async function untilSent(page: Page, name: string, part: number): Promise<void> {
    const row = upload(page, name);
    const sent = (): Promise<number> =>
      row.evaluate((element: Row) =>
        element.dataset.state === 'sending' ? element.querySelector('progress').value : 0,
      );
    await expect.poll(sent, { timeout: 30_000, interval: 20 }).toBeGreaterThan(part);
  }

  /** Goes on while the page is left: it asks first. */
  async function reload(page: Page): Promise<string[]> {
    const asked: string[] = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.type());
      void dialog.accept();
    });
    await page.reload();
    return asked;
  }

  test('300 MB, cut by the death of the service and its new start, arrive whole', async () => {
    const service = await start();
    const line = await lineTo(service, Infinity);
    const big = await makeFile('spring tide.bin', 300 * MIB);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'spring tide.bin', 0.2);
    await service.kill('SIGKILL');
    await untilStatus(page, 'spring tide.bin', /^Waiting for the connection/);
    expect(await page.title()).toMatch(/^\d+% · Tidemark$/);
    await service.restart();
    await untilStatus(page, 'spring tide.bin', /^Done, verified/, 120_000);
    const url = `${service.url}/files/${big.md5}`;
    expect(await digestOfUrl(url)).toEqual({ status: 200, md5: big.md5, size: big.size });
    // What was on the line when it broke, and no more, was sent twice.
    expect(line.sentBytes()).toBeLessThan(big.size + 60 * MIB);
  }, 240_000);

  test('after a reload it is listed, and goes on when the file is chosen again, from the last stored byte', async () => {
    const service = await start();
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('neap.bin', 40 * MIB);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'neap.bin', 0.5);
    expect(await reload(page)).toEqual(['beforeunload']);
    // What was on the line arrives still: the page looks once more.
    await untilStatus(
      page,
      'neap.bin',
      /^Interrupted, (?:1[6-9]|[23]\d)\.\d MiB of 40\.0 MiB are kept\. Choose the file again/,
    );
    await choose(page, big.path);
    await untilStatus(page, 'neap.bin', /^Done, verified/);
    // Both lives of the page together: hardly more than the file has.
    expect(line.sentBytes()).toBeLessThan(big.size + 4 * MIB);
    expect(await upload(page, 'neap.bin').count()).toBe(1);
  });

  test('a small file that was under way goes on by itself', async () => {
    const service = await start();
    const line = await lineTo(service, 2 * MIB);
    const page = await openPage(line.url);
    await choose(page, chosen('small.bin', makeBytes(8 * MIB, 701)));
    await untilStatus(page, 'small.bin', /^[2-7]\.\d MiB of 8\.0 MiB/);
    await reload(page);
    await untilStatus(page, 'small.bin', /^Done, verified/);
  });

  test('a dropped file goes on with one click, or none', async () => {
    const service = await start();
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('dropped.bin', 40 * MIB);
    const page = await openPage(line.url);
    await drop(page, [big.path]);
    await untilSent(page, 'dropped.bin', 0.3);
    await reload(page);
    const row = upload(page, 'dropped.bin');
    const goOn = row.getByRole('button', { name: /^Go on/ });
    const goesOn = row.locator('.status', { hasText: /^\d+\.\d MiB of 40/ });
    await goOn.or(goesOn).first().waitFor();
    expect(await row.getByRole('button', { name: /^Choose the file again/ }).count()).toBe(0);
  });

  test('offline shows as waiting, and it goes on by itself when the line is back', async () => {
    const service = await start();
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('offline.bin', 30 * MIB);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'offline.bin', 0.3);
    await page.context().setOffline(true);
    line.cut();
    await untilStatus(page, 'offline.bin', /^Waiting for the connection; it goes on by itself/);
    await page.context().setOffline(false);
    await untilStatus(page, 'offline.bin', /^Done, verified/);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
  });

  test('pause stops it, resume goes on, cancel ends it at the service too', async () => {
    const service = await start();
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('paused.bin', 24 * MIB);
    const other = await makeFile('cancelled.bin', 200 * MIB);
    const page = await openPage(line.url);
    await choose(page, [big.path, other.path]);
    await untilSent(page, 'paused.bin', 0.2);
    await untilSent(page, 'cancelled.bin', 0.05);
    await upload(page, 'paused.bin')
      .getByRole('button', { name: /^Pause/ })
      .click();
    await untilStatus(page, 'paused.bin', /^Paused · /);
    await upload(page, 'cancelled.bin')
      .getByRole('button', { name: /^Cancel/ })
      .click();
    await upload(page, 'cancelled.bin').waitFor({ state: 'detached' });
    await expect
      .poll(async () => (await storedNames(service)).filter((name) => name.startsWith('tmp_')).length)
      .toBe(1);
    expect(await upload(page, 'paused.bin').locator('.status').textContent()).toMatch(/^Paused/);
    await upload(page, 'paused.bin')
      .getByRole('button', { name: /^Resume/ })
      .click();
    await untilStatus(page, 'paused.bin', /^Done, verified/);
  });

  test('an upload that expired meanwhile is sent from the start, and says so', async () => {
    const service = await start({ UPLOAD_TTL: '1s' });
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('late.bin', 24 * MIB);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'late.bin', 0.2);
    await upload(page, 'late.bin')
      .getByRole('button', { name: /^Pause/ })
      .click();
    const resumable = async (): Promise<unknown> =>
      json<{ resume?: unknown }>(await send('GET', `${service.url}/check?md5=${big.md5}`)).resume;
    await expect.poll(resumable, { timeout: 20_000 }).toBeUndefined();
    await upload(page, 'late.bin')
      .getByRole('button', { name: /^Resume/ })
      .click();
    await untilStatus(page, 'late.bin', /^What was sent before had expired; sent from the start/);
    await file(page, 'late.bin').waitFor();
  });
});
