/** The name of the file that was chosen is the name it gets, whatever its upload was begun as. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { json } from '../http/support.ts';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  choose,
  chosen,
  CRAWL,
  removeFiles,
  resumedFrom,
  type Sending,
  sentFrom,
  startOwn,
  startSending,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;
/** More than the page keeps of a file that was chosen: after a reload it has to be chosen again. */
const SIZE = 20 * MIB;

describeInBrowser('the name given now', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  /** A page that has sent a part of a file, to a service that has no other files. */
  async function startDraft(): Promise<Sending> {
    await removeFiles(service);
    return startSending('draft.txt', SIZE, 0.2, { service });
  }

  async function filesOf(of = service): Promise<string[]> {
    const { files } = json<{ files: { name: string; type: string | null }[] }>(
      await send('GET', `${of.url}/api/files?sort=name`),
    );
    return files.map(({ name, type }) => `${name} ${type}`);
  }

  /** Half of a file is sent, and the page left; then it is there again, with a copy by another name. */
  async function interrupt({ line, big, page }: Sending): Promise<string> {
    line.setSpeed(CRAWL);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    const copy = join(big.path, '../final.pdf');
    await copyFile(big.path, copy);
    await page.goto(line.url);
    await untilStatus(page, 'draft.txt', /^Interrupted/);
    return copy;
  }

  test('a renamed copy resumes the upload, and one file is published', async () => {
    const sending = await startDraft();
    const { page } = sending;
    const copy = await interrupt(sending);
    const offsets = sentFrom(page);
    await choose(page, copy);
    await untilStatus(page, 'final.pdf', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await filesOf()).toEqual(['final.pdf application/pdf']);
    // The upload under its first name is finished.
    expect(await upload(page, 'draft.txt').count()).toBe(0);
    await page.reload();
    await page.locator('#file-list > li').waitFor();
    expect(await upload(page, 'draft.txt').count()).toBe(0);
    expect(await filesOf()).toEqual(['final.pdf application/pdf']);
  });

  test('a page that is left between the publication and the name gives it when it is there again', async () => {
    const sending = await startDraft();
    const { page, line } = sending;
    const copy = await interrupt(sending);
    await page.route('**/api/files/*', (route) =>
      route.request().method() === 'PATCH' ? route.abort() : route.continue(),
    );
    const asked = page.waitForRequest(
      (request) => request.method() === 'PATCH' && request.url().includes('/api/files'),
    );
    await choose(page, copy);
    await asked;
    expect(await filesOf()).toEqual(['draft.txt text/plain']);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
    await page.unroute('**/api/files/*');
    await page.goto(line.url);
    await untilStatus(page, 'final.pdf', /^Done, verified/);
    expect(await filesOf()).toEqual(['final.pdf application/pdf']);
  });

  test('where PATCH does not get through there is a second file, by the name of the copy', async () => {
    const sending = await startDraft();
    const { page } = sending;
    const copy = await interrupt(sending);
    await page.route('**/api/files/*', (route) =>
      route.request().method() === 'PATCH' ? route.fulfill({ status: 405 }) : route.continue(),
    );
    await choose(page, copy);
    await untilStatus(page, 'final.pdf', /^Done, verified/);
    expect(await filesOf()).toEqual(['draft.txt text/plain', 'final.pdf application/pdf']);
  });

  test.each(['owner', 'off'])(
    'what another client began keeps its name, and ours is there too: INSTANT=%s',
    async (instant) => {
      const own = await startOwn({ env: { INSTANT: instant } });
      const bytes = makeBytes(3 * MIB, 95);
      const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.txt' };
      const location = await createUpload(own.url, bytes.length, declared);
      await patch(location, 0, bytes.subarray(0, MIB));
      const page = await openPage(own.url);
      await choose(page, chosen('ours.pdf', bytes));
      await untilStatus(page, 'ours.pdf', /^Done, verified/, 60_000);
      expect(await filesOf(own)).toEqual(['ours.pdf application/pdf', 'theirs.txt text/plain']);
    },
  );
});
