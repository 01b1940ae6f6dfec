/** The page when other clients send to its uploads, and when the service has lost them. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { describeInBrowser, openFreshPage, openPage } from './browsers.ts';
import {
  CRAWL,
  choose,
  chosen,
  file,
  lineTo,
  press,
  removeFiles,
  sentFrom,
  untilSent,
  untilStatus,
} from './support.ts';

const MIB = 1024 * 1024;
const ELSEWHERE = /^This file is being sent from another place/;

/** Has the page's requests to uploads answered as by a service that loses every upload. */
async function loseUploads(
  page: Page,
  methods: readonly string[],
): Promise<{ begun: () => number; refused: () => number }> {
  let begun = 0;
  let refused = 0;
  await page.route('**/uploads', (route) => {
    if (route.request().method() === 'POST') begun++;
    return route.continue();
  });
  await page.route('**/uploads/*', (route) => {
    if (!methods.includes(route.request().method())) return route.continue();
    refused++;
    const error = { code: 'upload_expired', message: 'This upload has expired.' };
    return route.fulfill({ status: 410, contentType: 'application/json', body: JSON.stringify({ error }) });
  });
  return { begun: () => begun, refused: () => refused };
}

/** Waits until a cancelled upload can no longer be brought back. */
async function untilCancelled(page: Page): Promise<void> {
  const undo = page.getByRole('button', { name: 'Undo' });
  await undo.waitFor();
  await undo.waitFor({ state: 'detached' });
}

function requestsOf(page: Page, method: string): string[] {
  const seen: string[] = [];
  page.on('request', (request) => {
    if (request.method() === method) seen.push(request.url());
  });
  return seen;
}

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
// A name that is taken would be asked about.
beforeEach(() => removeFiles(service));

describeInBrowser('a service that loses every upload', () => {
  // The check still names the upload to a page whose PATCH is refused alone: that one is tried again.
  test.each([
    [['PATCH'], 1, 1],
    [['PATCH', 'HEAD'], 2, 3],
  ])('is tried once more, and then the page says so (%s)', async (methods, first, second) => {
    const page = await openPage(service.url);
    const lost = await loseUploads(page, methods);
    await choose(page, chosen('lost.bin', makeBytes(MIB, 731)));
    await untilStatus(page, 'lost.bin', /^The unfinished upload has expired\. Send the file again\./);
    expect(lost.begun()).toBe(first);
    const refused = lost.refused();
    await press(page, 'lost.bin', /^Try again/);
    await expect.poll(lost.refused).toBeGreaterThan(refused);
    await untilStatus(page, 'lost.bin', /^The unfinished upload has expired/);
    expect(lost.begun()).toBe(second);
    await page.unroute('**/uploads/*');
    await press(page, 'lost.bin', /^Try again/);
    await untilStatus(page, 'lost.bin', /^(?:Done, verified|What was sent before had expired)/);
  });
});

describeInBrowser('an upload that another client takes over', () => {
  test('is left to that client, and done when that client has finished', async () => {
    const line = await lineTo(service, 2 * MIB);
    const page = await openPage(line.url);
    const offsets = sentFrom(page);
    const bytes = makeBytes(6 * MIB, 732);
    const sent = page.waitForRequest((request) => request.method() === 'PATCH');
    await choose(page, chosen('taken.bin', bytes));
    await untilSent(page, 'taken.bin', 0.2);
    line.setSpeed(CRAWL);
    const location = `${service.url}${new URL((await sent).url()).pathname}`;
    const offset = Number((await head(location)).headers['upload-offset']);
    // Whatever the answer: a PATCH takes over.
    await patch(location, offset, '');
    line.setSpeed(Infinity);
    await untilStatus(page, 'taken.bin', ELSEWHERE);
    const current = Number((await head(location)).headers['upload-offset']);
    expect((await patch(location, current, bytes.subarray(current))).status).toBe(204);
    await untilStatus(page, 'taken.bin', /^Done, verified/);
    expect(offsets).toHaveLength(1);
  });

  /** A page whose one upload is taken over by a client that has sent nothing yet. */
  async function takenOver(bytes: Uint8Array): Promise<{ page: Page; location: string }> {
    const page = await openPage(service.url);
    let location = '';
    await page.route('**/uploads/*', async (route) => {
      const request = route.request();
      if (location !== '' || request.method() !== 'PATCH') return route.continue();
      location = request.url();
      const error = { code: 'upload_taken_over', message: 'A newer request has taken over this upload.' };
      return route.fulfill({ status: 423, contentType: 'application/json', body: JSON.stringify({ error }) });
    });
    await choose(page, chosen('taken.bin', bytes));
    await untilStatus(page, 'taken.bin', ELSEWHERE);
    return { page, location };
  }

  test.each([
    ['is cancelled here', untilCancelled],
    ['is cancelled here, and the page left', (page: Page) => page.goto('about:blank')],
  ])('stays when it %s', async (_, leave) => {
    const bytes = makeBytes(MIB, 736);
    const { page, location } = await takenOver(bytes);
    const ended = requestsOf(page, 'DELETE');
    await press(page, 'taken.bin', /^Cancel/);
    await leave(page);
    expect((await patch(location, 0, bytes)).status).toBe(204);
    expect(ended).toEqual([]);
  });

  test('is left to that client after a reload, too', async () => {
    const bytes = makeBytes(MIB, 738);
    const { page, location } = await takenOver(bytes);
    const offsets = sentFrom(page);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.reload();
    await untilStatus(page, 'taken.bin', ELSEWHERE);
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await untilStatus(page, 'taken.bin', /^Done, verified/);
    expect(offsets).toEqual([]);
  });

  test('is compared by its SHA-256, as that client may have sent other bytes', async () => {
    const suffix = makeBytes(3 * MIB, 733);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    const page = await openPage(service.url);
    let isTaken = false;
    await page.route('**/uploads/*', async (route) => {
      const request = route.request();
      if (isTaken || request.method() !== 'PATCH') return route.continue();
      isTaken = true;
      await patch(request.url(), 0, a.subarray(0, MIB));
      const error = { code: 'upload_taken_over', message: 'A newer request has taken over this upload.' };
      return route.fulfill({ status: 423, contentType: 'application/json', body: JSON.stringify({ error }) });
    });
    await choose(page, chosen('b.bin', b));
    await untilStatus(page, 'b.bin', ELSEWHERE);
    // It counts as gone after 15 s of silence; then the page sends the rest.
    await untilStatus(page, 'b.bin', /^Something went wrong/, 60_000);
    await press(page, 'b.bin', /^Try again/);
    await untilStatus(page, 'b (2).bin', /^Done, verified/);
    const stored = await fetch(`${service.url}/files/${md5(b)}-1`);
    expect(sha256(new Uint8Array(await stored.arrayBuffer()))).toBe(sha256(b));
  });
});

describeInBrowser('another client that sends the same bytes', () => {
  test('is not waited for where it sends very slowly', async () => {
    const bytes = Buffer.from(makeBytes(6 * MIB, 734));
    const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.bin' };
    const location = await createUpload(service.url, bytes.length, declared);
    let offset = 0;
    async function trickle(): Promise<void> {
      const answer = await patch(location, offset, bytes.subarray(offset, offset + 100));
      if (answer.status === 204) offset += 100;
    }
    await trickle();
    // One that is under way when the service stops has no answer.
    const timer = setInterval(() => void trickle().catch(() => undefined), 500);
    onTestFinished(() => clearInterval(timer));
    const page = await openPage(service.url);
    await choose(page, chosen('ours.bin', bytes));
    await untilStatus(page, 'ours.bin', ELSEWHERE);
    await untilStatus(page, 'ours.bin', /^Done, verified/, 60_000);
    await file(page, 'ours.bin').waitFor();
    // Theirs was left alone.
    expect(Number((await head(location)).headers['upload-offset'])).toBeLessThan(MIB);
  });

  test('is still waited for after a pause, however long that was', async () => {
    const bytes = Buffer.from(makeBytes(4 * MIB, 735));
    const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.bin' };
    const location = await createUpload(service.url, bytes.length, declared);
    await patch(location, 0, bytes.subarray(0, MIB));
    const page = await openFreshPage(service.url);
    await page.clock.install();
    await page.reload();
    const offsets = sentFrom(page);
    await choose(page, chosen('ours.bin', bytes));
    await untilStatus(page, 'ours.bin', ELSEWHERE);
    await press(page, 'ours.bin', /^Pause/);
    await untilStatus(page, 'ours.bin', /^Paused/);
    await page.clock.fastForward('11:00');
    await patch(location, MIB, bytes.subarray(MIB, 3 * MIB));
    await press(page, 'ours.bin', /^Resume/);
    await untilStatus(page, 'ours.bin', ELSEWHERE);
    expect((await patch(location, 3 * MIB, bytes.subarray(3 * MIB))).status).toBe(204);
    await untilStatus(page, 'ours.bin', /^Instant/);
    expect(offsets).toEqual([]);
  });

  test('keeps its upload when the page resumed that, and cancels it', async () => {
    const line = await lineTo(service, 2 * MIB);
    const bytes = Buffer.from(makeBytes(6 * MIB, 737));
    const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.bin' };
    const location = await createUpload(service.url, bytes.length, declared);
    const page = await openPage(line.url);
    const ended = requestsOf(page, 'DELETE');
    await choose(page, chosen('ours.bin', bytes));
    await untilSent(page, 'ours.bin', 0.1);
    await press(page, 'ours.bin', /^Cancel/);
    await untilCancelled(page);
    const offset = Number((await head(location)).headers['upload-offset']);
    expect(offset).toBeGreaterThan(0);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    expect(ended).toEqual([]);
  });
});
