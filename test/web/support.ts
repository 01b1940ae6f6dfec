/** A real browser on the page of a real service: Debian's Chromium, where it is installed. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

const executablePath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

if (!executablePath) process.stdout.write('no Chromium on PATH: the tests of the page are skipped\n');

let browser: Browser;

/** A suite that needs a browser. */
export function describeInBrowser(name: string, body: () => void): void {
  // oxlint-disable-next-line vitest/valid-title -- it is handed on
  describe.skipIf(!executablePath)(name, () => {
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
    });
    afterAll(() => browser.close());
    body();
  });
}

/** Opens the page in a browser of its own; whatever its scripts or its policy complain about fails the test. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1_100, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Uncaught/i.test(message.text())) complaints.push(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });
  await page.goto(url);
  return page;
}

/** A chosen file, of the test's own bytes. */
export function chosen(name: string, bytes: Uint8Array | string): { name: string; mimeType: string; buffer: Buffer } {
  return { name, mimeType: '', buffer: Buffer.from(bytes as Uint8Array) };
}

/** Chooses files as if by the dialog. */
export async function choose(page: Page, files: Parameters<Locator['setInputFiles']>[0]): Promise<void> {
  await page.locator('input#files').setInputFiles(files);
}

/** The row of an upload, by its name. */
export function upload(page: Page, name: string): Locator {
  return page.locator('#upload-list > li', { has: page.locator('.name', { hasText: name }) });
}

/** The row of a file of the catalog. */
export function file(page: Page, name: string): Locator {
  return page.locator('#file-list > li', { has: page.locator('button.name', { hasText: name }) });
}

/** Waits for the words that say how an upload stands. */
export async function untilStatus(page: Page, name: string, status: RegExp, timeout = 30_000): Promise<void> {
  await upload(page, name).locator('.status', { hasText: status }).waitFor({ timeout });
}

/** Drops files and folders of the disk on the page, as a file manager would. */
export async function drop(page: Page, paths: readonly string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 400, y: 200, data });
  }
}

/** Kept for whoever wants to look: `dist/screenshots`, which is not committed. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = fileURLToPath(new URL('../../screenshots', import.meta.url));
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
