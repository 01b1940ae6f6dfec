/** The page after its tab or its browser has crashed, and after its file or its upload has changed meanwhile. */
import { utimes } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOfUrl, makeRandomFile } from '../harness/make-file.ts';
import { json } from '../http/support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { describeInBrowser, openCrashingPage, openPage, startBrowser } from './browsers.ts';
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
  screenshot,
  sentFrom,
  startSending,
  untilExpired,
  untilSent,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;
/** More than the page keeps of a file that was chosen: after a reload it has to be chosen again. */
const SIZE = 20 * MIB;

describeInBrowser('after a crash', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  /** Leaves the page while it sends. */
  async function leave(page: Page): Promise<void> {
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
  }

  test('of the browser: what was under way is listed, and resumes from the last stored byte; a small file does so by itself', async () => {
    const line = await lineTo(service, 8 * MIB);
    const profile = await makeTempFolder();
    const big = await makeFile('wreck.bin', SIZE);
    const first = await startBrowser(profile);
    await first.page.goto(line.url);
    await choose(first.page, [big.path, chosen('dinghy.bin', makeBytes(12 * MIB, 711))]);
    await untilSent(first.page, 'dinghy.bin', 0.1);
    // Early: browsers write most of what a page keeps to the disk after some seconds alone.
    await untilSent(first.page, 'wreck.bin', 0.05);
    await expect.poll(() => line.sentBytes(), { timeout: 30_000, interval: 10 }).toBeGreaterThan(4 * MIB);
    await first.kill();
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);

    const { page } = await startBrowser(profile);
    await page.goto(line.url);
    await untilStatus(page, 'dinghy.bin', /^Done, verified/);
    await untilStatus(
      page,
      'wreck.bin',
      /^Interrupted, [1-9]\d?\.\d MiB of 20\.0 MiB are kept\. Choose the file again/,
    );
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await untilStatus(page, 'wreck.bin', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
    await page.reload();
    await file(page, 'wreck.bin').waitFor();
    expect(await upload(page, 'wreck.bin').count()).toBe(0);
  });

  test('of the tab: another tab lists it; one that lives keeps its own', async () => {
    const { line, big, page } = await startSending('capsized.bin', SIZE, 0.1, {
      bytesPerSecond: 4 * MIB,
      open: openCrashingPage,
    });
    const other = await page.context().newPage();
    await other.goto(line.url);
    await other.getByText('Nothing here yet').waitFor();
    expect(await upload(other, 'capsized.bin').count()).toBe(0);

    const crashed = page.waitForEvent('crash');
    const session = await page.context().newCDPSession(page);
    session.send('Page.crash').catch(() => undefined);
    await crashed;
    await other.reload();
    await untilStatus(other, 'capsized.bin', /^Interrupted, [\d.]+ MiB of 20\.0 MiB are kept/);
    const offsets = sentFrom(other);
    await choose(other, big.path);
    await untilStatus(other, 'capsized.bin', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
  });

  test('an upload that the service keeps for a month is listed after weeks, and resumes', async () => {
    const {
      service: own,
      line,
      big,
      page,
    } = await startSending('laid-up.bin', SIZE, 0.2, {
      env: { UPLOAD_TTL: '30d' },
    });
    line.setSpeed(CRAWL);
    await leave(page);
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    // At the service's own address there is its journal; no script of the page runs at this one.
    await page.goto(`${line.url}/healthz`);
    await page.evaluate(`new Promise((resolve, reject) => {
      const opening = indexedDB.open('tidemark', 1);
      opening.onsuccess = () => {
        const transaction = opening.result.transaction('uploads', 'readwrite');
        const store = transaction.objectStore('uploads');
        store.getAll().onsuccess = ({ target }) => {
          for (const entry of target.result) store.put({ ...entry, at: entry.at - 29 * 24 * 3600_000 }, entry.id);
        };
        transaction.oncomplete = () => { opening.result.close(); resolve(); };
        transaction.onabort = reject;
      };
    })`);
    await page.goto(line.url);
    await untilStatus(page, 'laid-up.bin', /^Interrupted/);
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await untilStatus(page, 'laid-up.bin', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await digestOfUrl(`${own.url}/files/${big.md5}`)).toMatchObject({ status: 200, md5: big.md5 });
  });

  test('a file that has changed meanwhile is read again, and sent as it is now', async () => {
    const { line, big, page } = await startSending('rebuilt.bin', SIZE, 0.2, { service });
    line.setSpeed(CRAWL);
    await leave(page);
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    const next = await makeRandomFile(big.path, big.size);
    await utimes(big.path, new Date(), new Date(Date.now() + 5_000));
    await page.goto(line.url);
    await untilStatus(page, 'rebuilt.bin', /^Interrupted/);
    await choose(page, big.path);
    await untilStatus(page, 'rebuilt.bin', /^Done, verified/);
    expect(await digestOfUrl(`${service.url}/files/${next}`)).toMatchObject({ status: 200, md5: next });
    // What was begun of the older bytes is given up.
    const left = await send('GET', `${service.url}/check?md5=${big.md5}`);
    expect(json<{ resume?: unknown }>(left)).not.toHaveProperty('resume');
  });

  test('an upload that has expired meanwhile says so, and is sent from the start', async () => {
    const {
      service: own,
      line,
      big,
      page,
    } = await startSending('stranded.bin', SIZE, 0.1, {
      env: { UPLOAD_TTL: '1s' },
    });
    line.setSpeed(CRAWL);
    await untilExpired(own, async () => {
      await leave(page);
      line.setSpeed(Infinity);
    });
    await page.goto(line.url);
    await untilStatus(page, 'stranded.bin', /^What was sent has expired\. Choose the file again/);
    await choose(page, big.path);
    await untilStatus(page, 'stranded.bin', /^What was sent before had expired; sent from the start/);
  });

  test('a file of a folder that was dropped is found again by itself', async () => {
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('hull.bin', SIZE);
    const page = await openPage(line.url);
    await drop(page, [big.path.replace(/\/hull\.bin$/, '')]);
    await untilSent(page, 'hull.bin', 0.2);
    line.setSpeed(CRAWL);
    await leave(page);
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    await page.goto(line.url);
    await untilStatus(page, '/hull.bin', /^Interrupted/);
    await screenshot(page, 'interrupted');
    const dialog = page.waitForEvent('filechooser');
    await press(page, '/hull.bin', /^Choose the file/);
    await (await dialog).setFiles(big.path);
    await untilStatus(page, '/hull.bin', /^Done, verified/);
    expect(await upload(page, 'hull.bin').count()).toBe(1);
    expect(md5(new Uint8Array(await (await fetch(`${service.url}/files/${big.md5}`)).arrayBuffer()))).toBe(big.md5);
  });
});
