/** A real browser on the page of a real service: Debian's Chromium, where it is installed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest';
import { makeRandomFile } from '../harness/make-file.ts';
import { type Line, openLine } from '../harness/proxy.ts';
import { storedNames } from '../http/support.ts';
import { chromiumPath, headlessPath } from '../harness/chromium.ts';
import { type RunningService, type ServiceOptions, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { head } from '../harness/tus.ts';

let browser: Browser;

/** A suite that needs a browser. */
export function describeInBrowser(name: string, body: () => void): void {
  // oxlint-disable-next-line vitest/valid-title -- it is handed on
  describe.skipIf(!chromiumPath)(name, () => {
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: headlessPath ?? '', args: ['--no-sandbox'] });
    });
    afterAll(() => browser.close());
    body();
  });
}

/** Opens the page in a browser of its own; whatever its scripts or its policy complain about fails the test, but what is expected. */
export async function openPage(url: string, options: BrowserContextOptions = {}, expected = /$^/): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1_100, height: 800 }, ...options });
  return goTo(url, context, await context.newPage(), expected);
}

/** Opens the page in a browser that lets no site keep anything, as its settings offer: no cookies, no storage. */
export async function openForgetfulPage(url: string): Promise<Page> {
  const profile = await makeTempFolder();
  await mkdir(join(profile, 'Default'));
  const settings = { profile: { default_content_setting_values: { cookies: 2 } } };
  await writeFile(join(profile, 'Default/Preferences'), JSON.stringify(settings));
  const options = { executablePath: chromiumPath ?? '', args: ['--no-sandbox'], locale: 'en-GB' };
  const context = await chromium.launchPersistentContext(profile, options);
  return goTo(url, context, await context.newPage(), /$^/);
}

async function goTo(url: string, context: BrowserContext, page: Page, expected: RegExp): Promise<Page> {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Uncaught/i.test(message.text())) complaints.push(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints.filter((complaint) => !expected.test(complaint))).toEqual([]);
  });
  await page.goto(url);
  return page;
}

export interface KillableBrowser {
  readonly page: Page;
  /** Ends it as a crash or a power cut would, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a browser with a profile that outlives it. */
export async function startBrowser(profile: string): Promise<KillableBrowser> {
  const args = ['--headless=new', '--no-sandbox', '--no-first-run', '--lang=en-GB', '--remote-debugging-port=0'];
  const child = spawn(chromiumPath ?? '', [...args, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  onTestFinished(kill);
  const endpoint = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const found = /^DevTools listening on (ws:\S+)/m.exec(said)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', () => reject(new Error(`the browser ended: ${said}`)));
  });
  const connected = await chromium.connectOverCDP(endpoint);
  const page = connected.contexts()[0]?.pages()[0];
  if (!page) throw new Error('the browser has no page');
  return { page, kill };
}

let axe: string | undefined;

/** What axe-core finds in the page; its policy lets the browser's own tools in. */
export async function findings(page: Page): Promise<string[]> {
  axe ??= await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const found = await page.evaluate('axe.run({ resultTypes: ["violations"] })');
  return (found as { violations: { id: string; impact: string; nodes: { html: string }[] }[] }).violations.map(
    ({ id, impact, nodes }) => `${impact}: ${id}: ${nodes[0]?.html}`,
  );
}

/** A chosen file, of the test's own bytes. */
export function chosen(name: string, bytes: Uint8Array | string): { name: string; mimeType: string; buffer: Buffer } {
  return { name, mimeType: '', buffer: Buffer.from(bytes as Uint8Array) };
}

/** Chooses files as if by the dialog; those of the disk stay there. */
export async function choose(page: Page, files: Parameters<Locator['setInputFiles']>[0]): Promise<void> {
  if (typeof files !== 'string') {
    await page.locator('input#files').setInputFiles(files);
    return;
  }
  // Playwright would copy a file through the connection to a browser that it has not started.
  const session = await page.context().newCDPSession(page);
  const { result } = await session.send('Runtime.evaluate', { expression: "document.querySelector('input#files')" });
  await session.send('DOM.setFileInputFiles', { files: [files], objectId: result.objectId ?? '' });
  await session.detach();
}

/** The row of an upload, by its name. */
export function upload(page: Page, name: string): Locator {
  return page.locator('#upload-list > li', { has: page.locator('.name', { hasText: name }) });
}

/** Opens what the finished ones are folded into, once there is one. */
export async function showFinished(page: Page): Promise<void> {
  await page.locator('.fold.done button[aria-expanded=false]').click();
}

/** The row of a file of the catalog. */
export function file(page: Page, name: string): Locator {
  return page.locator('#file-list > li', { has: page.locator('button.name', { hasText: name }) });
}

/** The row of a folder of the catalog. */
export function folder(page: Page, name: string): Locator {
  return page.locator('#file-list > li.folder', { has: page.locator('a.name', { hasText: name }) });
}

/** Waits for the words that say how an upload stands. */
export async function untilStatus(page: Page, name: string, status: RegExp, timeout = 30_000): Promise<void> {
  const shown = upload(page, name).locator('.status');
  try {
    await shown.filter({ hasText: status }).waitFor({ timeout });
  } catch (cause) {
    throw new Error(`${name}: ${status.source} did not come: ${(await shown.allTextContents()).join(' | ')}`, {
      cause,
    });
  }
}

/** Waits until this part of it was sent. */
export async function untilSent(page: Page, name: string, part: number): Promise<void> {
  const row = upload(page, name);
  const sent = (): Promise<number> =>
    row.evaluate((element: Row) => (element.dataset.state === 'sending' ? element.querySelector('progress').value : 0));
  await expect.poll(sent, { timeout: 30_000, interval: 40 }).toBeGreaterThan(part);
}

/** As far as it is looked at in the browser. */
interface Row {
  dataset: { state: string };
  querySelector(name: 'progress'): { value: number };
}

/** Offsets from which the page sends, as it sends. */
export function sentFrom(page: Page): number[] {
  const offsets: number[] = [];
  page.on('request', (request) => {
    // A PATCH of a file of the catalog has none.
    const offset = request.headers()['upload-offset'];
    if (request.method() === 'PATCH' && offset !== undefined) offsets.push(Number(offset));
  });
  return offsets;
}

/** Bytes per second of a connection so slow that no file arrives whole while the test still acts. */
export const CRAWL = 256 * 1024;

/** A slow connection to the service, closed with the test. */
export async function lineTo(service: RunningService, bytesPerSecond: number): Promise<Line> {
  const line = await openLine({ toPort: service.port, bytesPerSecond });
  onTestFinished(() => line.close());
  return line;
}

/** A service of the test's own. */
export async function startOwn(options: ServiceOptions = {}): Promise<RunningService> {
  const service = await startService(options);
  onTestFinished(() => service.stop());
  return service;
}

/** A random file of the disk. */
export async function makeFile(name: string, size: number): Promise<{ path: string; md5: string; size: number }> {
  const path = join(await makeTempFolder(), name);
  return { path, md5: await makeRandomFile(path, size), size };
}

export interface Sending {
  service: RunningService;
  line: Line;
  big: { path: string; md5: string; size: number };
  page: Page;
}

/** A page that sends a file of the disk over a slow connection, and has sent this part of it. */
export async function startSending(
  name: string,
  size: number,
  part: number,
  { bytesPerSecond = 8 * 1024 * 1024, env = {} }: { bytesPerSecond?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Sending> {
  const service = await startOwn({ env });
  const line = await lineTo(service, bytesPerSecond);
  const big = await makeFile(name, size);
  const page = await openPage(line.url);
  await choose(page, big.path);
  await untilSent(page, name, part);
  return { service, line, big, page };
}

/** Has the sender of the one upload of the service leave, and waits until it has expired; then it has its usual patience. */
export async function untilExpired(service: RunningService, leave: () => Promise<void>): Promise<void> {
  // While bytes come, it is there.
  const name = (await storedNames(service)).find((each) => each.startsWith('tmp_')) ?? 'none';
  const address = `${service.url}/uploads/${name.replace('tmp_', '')}`;
  await leave();
  await expect.poll(async () => (await head(address)).status, { timeout: 20_000 }).toBe(410);
  // Bytes that are on their way are committed at longer intervals than a life of a second.
  await service.restart({});
}

/** Presses a button of an upload's row. */
export async function press(page: Page, name: string, button: RegExp): Promise<void> {
  await upload(page, name).getByRole('button', { name: button }).click();
}

/** Drops files and folders of the disk on the page, as a file manager would. */
export async function drop(page: Page, paths: readonly string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 400, y: 200, data });
  }
}

/** Kept to be looked at: `dist/screenshots`, which is not committed. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const place = fileURLToPath(new URL('../../screenshots', import.meta.url));
  await mkdir(place, { recursive: true });
  await page.screenshot({ path: join(place, `${name}.png`) });
}
