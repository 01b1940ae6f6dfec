/** Files whose bytes are others than MD5, size or time suggest: the page sends the bytes that are there now. */
import { utimes } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { digestOfUrl, makeRandomFile } from '../harness/make-file.ts';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING, COLLIDING_MD5 } from '../harness/collision.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  choose,
  chosen,
  CRAWL,
  lineTo,
  makeFile,
  removeFiles,
  resumedFrom,
  sentFrom,
  startSending,
  untilSent,
  untilStatus,
} from './support.ts';

const MIB = 1024 * 1024;
/** More than the page keeps of a file that was chosen: after a reload it has to be chosen again. */
const SIZE = 20 * MIB;

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
// A name that is taken would be asked about.
beforeEach(() => removeFiles(service));

describeInBrowser('an equal MD5', () => {
  test('makes no file instant that has other bytes', async () => {
    const page = await openPage(service.url);
    await choose(page, chosen('a.bin', COLLIDING[0]));
    await untilStatus(page, 'a.bin', /^Done, verified/);
    await choose(page, chosen('b.bin', COLLIDING[1]));
    await untilStatus(page, 'b.bin', /^Done, verified/);
    await choose(page, chosen('c.bin', COLLIDING[1]));
    await untilStatus(page, 'c.bin', /^Instant/);
    for (const [variant, bytes] of [
      ['', COLLIDING[0]],
      ['-1', COLLIDING[1]],
    ] as const) {
      const stored = await fetch(`${service.url}/files/${COLLIDING_MD5}${variant}`);
      expect(sha256(new Uint8Array(await stored.arrayBuffer()))).toBe(sha256(bytes));
    }
  });

  test('resumes no upload that was begun for other bytes', async () => {
    for (const [name, seed] of [
      ['with its SHA-256.bin', 91],
      ['without.bin', 94],
    ] as const) {
      const suffix = makeBytes(2 * MIB, seed);
      const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
      const declared = { md5: md5(a), ...(seed === 91 ? { sha256: sha256(a) } : {}) };
      const location = await createUpload(service.url, a.length, { ...declared, filename: 'a.bin' });
      await patch(location, 0, a.subarray(0, MIB));
      const page = await openPage(service.url);
      await choose(page, chosen(name, b));
      await untilStatus(page, name, /^Done, verified/);
      const stored = await fetch(`${service.url}/files/${md5(b)}`);
      expect(sha256(new Uint8Array(await stored.arrayBuffer()))).toBe(sha256(b));
      expect((await head(location)).headers['upload-offset']).toBe(String(MIB));
    }
  });

  test('does not resume another client’s upload that only claims to be the same', async () => {
    const suffix = makeBytes(2 * MIB, 92);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    const declared = { md5: md5(b), sha256: sha256(b), filename: 'b.bin' };
    const location = await createUpload(service.url, b.length, declared);
    await patch(location, 0, a.subarray(0, MIB));
    const page = await openPage(service.url);
    await choose(page, chosen('b.bin', b));
    await untilStatus(page, 'b.bin', /^Something went wrong/, 60_000);
    await page.getByRole('button', { name: /^Try again/ }).click();
    await untilStatus(page, 'b (2).bin', /^Done, verified/);
    const stored = await fetch(`${service.url}/files/${md5(b)}-1`);
    expect(sha256(new Uint8Array(await stored.arrayBuffer()))).toBe(sha256(b));
  });

  test('does not resume it either when the page was left before the end', async () => {
    const suffix = makeBytes(3 * MIB, 93);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    const declared = { md5: md5(b), sha256: sha256(b), filename: 'b.bin' };
    const location = await createUpload(service.url, b.length, declared);
    await patch(location, 0, a.subarray(0, MIB));
    const line = await lineTo(service, Infinity);
    const page = await openPage(line.url);
    await choose(page, chosen('b.bin', b));
    await untilStatus(page, 'b.bin', /^This file is being sent from another place/);
    line.setSpeed(CRAWL);
    // The service calls it "uploading" for 30 s after its last byte.
    await page.locator('#upload-list > li[data-state=sending]').waitFor({ timeout: 60_000 });
    await untilSent(page, 'b.bin', 0.4);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
    const { offset } = await finishElsewhere(location, b);
    expect(offset).toBeLessThan(b.length);
    line.setSpeed(Infinity);
    await page.goto(line.url);
    await untilStatus(page, 'b.bin', /^Something went wrong/);
  });
});

/** Sends the rest of an upload whose other sender is gone. */
async function finishElsewhere(location: string, bytes: Buffer): Promise<{ offset: number }> {
  for (;;) {
    const offset = Number((await head(location)).headers['upload-offset']);
    const answer = await patch(location, offset, bytes.subarray(offset));
    if (answer.status === 204) return { offset };
    // Bytes that the page had sent arrive meanwhile.
    expect([409, 423]).toContain(answer.status);
  }
}

describeInBrowser('an equal size and time', () => {
  test('a file that is chosen again is read again', async () => {
    const line = await lineTo(service, 8 * MIB);
    const big = await makeFile('edition.bin', SIZE);
    await utimes(big.path, 1_700_000_000, 1_700_000_000);
    const page = await openPage(line.url);
    await choose(page, big.path);
    await untilSent(page, 'edition.bin', 0.2);
    line.setSpeed(CRAWL);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    const next = await makeRandomFile(big.path, big.size);
    await utimes(big.path, 1_700_000_000, 1_700_000_000);
    await page.goto(line.url);
    await untilStatus(page, 'edition.bin', /^Interrupted/);
    await choose(page, big.path);
    await untilStatus(page, 'edition.bin', /^Done, verified/);
    expect(await digestOfUrl(`${service.url}/files/${next}`)).toMatchObject({ status: 200, md5: next });
  });

  test('the journal of an earlier edition of the page is read, and its upload resumes', async () => {
    const { line, big, page } = await startSending('older.bin', SIZE, 0.2, { service });
    line.setSpeed(CRAWL);
    page.once('dialog', (dialog) => void dialog.accept());
    await page.goto('about:blank');
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
          for (const { sha256, urlSha256, adopted, ...entry } of target.result) store.put(entry, entry.id);
        };
        transaction.oncomplete = () => { opening.result.close(); resolve(); };
        transaction.onabort = reject;
      };
    })`);
    await page.goto(line.url);
    await untilStatus(page, 'older.bin', /^Interrupted/);
    const offsets = sentFrom(page);
    await choose(page, big.path);
    await untilStatus(page, 'older.bin', /^Done, verified/);
    expect(resumedFrom(offsets)).toBeGreaterThan(0);
    expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ status: 200, md5: big.md5 });
  });
});

describeInBrowser('a file that gives other than its size', () => {
  // A browser shows no more of a file than the size it was told, so an empty one of /proc stays empty.
  test('is refused', async () => {
    const page = await openPage(service.url);
    await choose(page, '/sys/kernel/uevent_seqnum');
    await untilStatus(page, 'uevent_seqnum', /^The file changed or vanished/);
  });
});
