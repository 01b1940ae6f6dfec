/** The page when the connection breaks, the service dies, or the page itself is closed. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOfUrl } from '../harness/make-file.ts';
import { putFile, storedNames } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  choose,
  chosen,
  CRAWL,
  drop,
  file,
  lineTo,
  makeFile,
  press,
  resumedFrom,
  sentFrom,
  startOwn,
  startSending,
  untilExpired,
  untilSent,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;
/** More than the page keeps of a file that was chosen: after a reload it has to be chosen again. */
const SIZE = 20 * MIB;

describeInBrowser('a broken line', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

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

  /** Each Uppy listens to the window for as long as it lives; nothing else in the page listens for this. */
  async function uppiesAlive(page: Page): Promise<number> {
    const session = await page.context().newCDPSession(page);
    const { result } = await session.send('Runtime.evaluate', { expression: 'window' });
    const { listeners } = await session.send('DOMDebugger.getEventListeners', { objectId: result.objectId ?? '' });
    await session.detach();
    return listeners.filter(({ type }) => type === 'offline').length;
  }

  test('a large file, cut by the death of the service and its new start, arrives whole', async () => {
    const line = await lineTo(service, 32 * MIB);
    const big = await makeFile('spring tide.bin', 64 * MIB);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'spring tide.bin', 0.5);
    await service.kill('SIGKILL');
    await untilStatus(page, 'spring tide.bin', /^Waiting for the connection/);
    expect(await page.title()).toMatch(/^\d+% · Tidemark$/);
    const offsets = sentFrom(page);
    line.setSpeed(Infinity);
    await service.restart();
    await untilStatus(page, 'spring tide.bin', /^Done, verified/, 120_000);
    const url = `${service.url}/files/${big.md5}`;
    expect(await digestOfUrl(url)).toEqual({ status: 200, md5: big.md5, size: big.size });
    // What is stored is not sent again; how much was under way when the connection broke is up to the kernel's buffers.
    expect(resumedFrom(offsets)).toBeGreaterThan(8 * MIB);
  }, 240_000);

  test('after a reload it is listed, and resumes from the last stored byte when the file is chosen again', async () => {
    const line = await lineTo(service, 4 * MIB);
    const big = await makeFile('neap.bin', SIZE);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await page.locator('#summary', { hasText: /^0 of 1 done · \d\.\d MiB\/s · (?:a few|\d+) seconds left$/ }).waitFor();
    expect(await page.title()).toMatch(/^\d+% · Tidemark$/);
    await untilSent(page, 'neap.bin', 0.2);
    await expect.poll(() => line.sentBytes()).toBeGreaterThan(4 * MIB);
    line.setSpeed(CRAWL);
    expect(await reload(page)).toEqual(['beforeunload']);
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    await untilStatus(page, 'neap.bin', /^Interrupted, [\d.]+ MiB of 20\.0 MiB are kept\. Choose the file again/);
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await untilStatus(page, 'neap.bin', /^Done, verified/);
    // Only what was not stored is sent.
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await upload(page, 'neap.bin').count()).toBe(1);
  });

  test('a small file that was under way resumes by itself', async () => {
    const line = await lineTo(service, 2 * MIB);
    const page = await openPage(line.url);
    await choose(page, chosen('small.bin', makeBytes(8 * MIB, 701)));
    await untilStatus(page, 'small.bin', /^[2-7]\.\d MiB of 8\.0 MiB/);
    await reload(page);
    // What the line still holds does not arrive.
    line.cut();
    await untilStatus(page, 'small.bin', /^Done, verified/);
  });

  test('a dropped file resumes with one click, or none', async () => {
    const line = await lineTo(service, 4 * MIB);
    const big = await makeFile('dropped.bin', SIZE);
    const page = await openPage(line.url);
    await drop(page, [big.path]);
    await untilSent(page, 'dropped.bin', 0.3);
    line.setSpeed(CRAWL);
    await reload(page);
    const row = upload(page, 'dropped.bin');
    const goOn = row.getByRole('button', { name: /^Continue/ });
    const goesOn = row.locator('.status', { hasText: /^\d+\.\d MiB of 20/ });
    await goOn.or(goesOn).first().waitFor();
    expect(await row.getByRole('button', { name: /^Choose the file/ }).count()).toBe(0);
  });

  test('offline shows as waiting, and it continues by itself when the network is back', async () => {
    const { line, big, page } = await startSending('offline.bin', 6 * MIB, 0.3, { bytesPerSecond: 2 * MIB, service });
    line.setSpeed(CRAWL);
    await page.context().setOffline(true);
    line.cut();
    line.setSpeed(Infinity);
    await untilStatus(page, 'offline.bin', /^Waiting for the connection; it continues by itself/);
    await page.context().setOffline(false);
    await untilStatus(page, 'offline.bin', /^Done, verified/);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
  });

  test('a connection that dies silently is given up, for the bytes and for the events', async () => {
    const { line, page } = await startSending('silent.bin', 30 * MIB, 0.3, { service });
    expect(await uppiesAlive(page)).toBe(1);
    line.freeze();
    // What is opened from now on passes.
    line.thaw();
    line.setSpeed(Infinity);
    await untilStatus(page, 'silent.bin', /^Waiting for the connection/, 60_000);
    await untilStatus(page, 'silent.bin', /^Done, verified/, 90_000);
    // Neither the one that stood still nor the one that came after it.
    await expect.poll(() => uppiesAlive(page)).toBe(0);
    await putFile(service.url, makeBytes(2_000, 707), { filename: 'told later.txt' });
    await file(page, 'told later.txt').waitFor({ timeout: 60_000 });
  }, 240_000);

  test('pause stops it, resume continues it, cancel ends it at the service too', async () => {
    const own = await startOwn();
    const line = await lineTo(own, 2 * MIB);
    const big = await makeFile('paused.bin', 8 * MIB);
    const other = await makeFile('cancelled.bin', SIZE);
    const page = await openPage(line.url);
    await choose(page, [big.path, other.path]);
    await untilSent(page, 'paused.bin', 0.2);
    line.setSpeed(CRAWL);
    await press(page, 'paused.bin', /^Pause/);
    await untilStatus(page, 'paused.bin', /^Paused · /);
    line.setSpeed(2 * MIB);
    await untilSent(page, 'cancelled.bin', 0.05);
    await press(page, 'cancelled.bin', /^Cancel/);
    await upload(page, 'cancelled.bin').waitFor({ state: 'detached' });
    line.setSpeed(Infinity);
    await expect.poll(async () => (await storedNames(own)).filter((name) => name.startsWith('tmp_')).length).toBe(1);
    expect(await upload(page, 'paused.bin').locator('.status').textContent()).toMatch(/^Paused/);
    await press(page, 'paused.bin', /^Resume/);
    await untilStatus(page, 'paused.bin', /^Done, verified/);
  });

  test('an upload that expired meanwhile is sent from the start, and says so', async () => {
    const { service: own, line, page } = await startSending('late.bin', SIZE, 0.05, { env: { UPLOAD_TTL: '3s' } });
    line.setSpeed(CRAWL);
    await untilExpired(own, async () => {
      await press(page, 'late.bin', /^Pause/);
      await untilStatus(page, 'late.bin', /^Paused · /);
      line.setSpeed(8 * MIB);
    });
    line.setSpeed(Infinity);
    await press(page, 'late.bin', /^Resume/);
    await untilStatus(page, 'late.bin', /^What was sent before had expired; sent from the start/);
    await file(page, 'late.bin').waitFor();
  });
});
