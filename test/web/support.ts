/** What the tests of the page share: files that are chosen and sent, and what the page says of them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { makeRandomFile } from '../harness/make-file.ts';
import { type Line, openLine } from '../harness/proxy.ts';
import { json, storedNames } from '../http/support.ts';
import { type RunningService, type ServiceOptions, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { head, send } from '../harness/tus.ts';
import { openPage } from './browsers.ts';

let axe: string | undefined;

/** What axe-core finds in the page; its policy lets the browser's own tools in. */
export async function findings(page: Page): Promise<string[]> {
  axe ??= await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe);
  const found = await page.evaluate('axe.run({ resultTypes: ["violations"] })');
  return (found as { violations: { id: string; impact: string; nodes: { html: string }[] }[] }).violations.map(
    ({ id, impact, nodes }) => `${impact}: ${id}: ${nodes[0]?.html}`,
  );
}

/** A chosen file, of the test's own bytes. */
export function chosen(name: string, bytes: Uint8Array | string): { name: string; mimeType: string; buffer: Buffer } {
  return { name, mimeType: '', buffer: Buffer.from(bytes as Uint8Array) };
}

type Chosen = ReturnType<typeof chosen>;

/** Larger ones go through a file: the browser gets bytes as text in a script, which takes ten times as long as to read them. */
const MOST_BY_SCRIPT_BYTES = 200_000;

/** Chooses files as if by the dialog; those of the disk stay there. */
export async function choose(page: Page, files: string | Chosen | readonly (string | Chosen)[]): Promise<void> {
  const all = [files].flat();
  const given = all.filter((each) => typeof each !== 'string');
  if (given.length === all.length && given.every(({ buffer }) => buffer.length <= MOST_BY_SCRIPT_BYTES)) {
    await page.locator('input#files').setInputFiles(given);
    return;
  }
  const place = await makeTempFolder();
  const paths = await Promise.all(
    all.map(async (each) => {
      if (typeof each === 'string') return each;
      const path = join(place, each.name);
      await writeFile(path, each.buffer);
      return path;
    }),
  );
  // Playwright would copy a file through the connection to a browser that it has not started.
  const session = await page.context().newCDPSession(page);
  const { result } = await session.send('Runtime.evaluate', { expression: "document.querySelector('input#files')" });
  await session.send('DOM.setFileInputFiles', { files: paths, objectId: result.objectId ?? '' });
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

/** The least of these offsets: 0 where nothing was sent. */
export function resumedFrom(offsets: readonly number[]): number {
  return offsets.length === 0 ? 0 : Math.min(...offsets);
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

/** Removes all files of a service that keeps no trash. */
export async function removeFiles({ url }: RunningService): Promise<void> {
  const { files } = json<{ files: { id: string }[] }>(await send('GET', `${url}/api/files?limit=1000`));
  for (const { id } of files) await send('DELETE', `${url}/api/files/${id}`);
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

/**
 * A page that sends a file of the disk over a slow connection, and has sent this part of it.
 * @param given - `service`: not one of the test's own.
 */
export async function startSending(
  name: string,
  size: number,
  part: number,
  given: {
    bytesPerSecond?: number;
    env?: NodeJS.ProcessEnv;
    service?: RunningService;
    open?: (url: string) => Promise<Page>;
  } = {},
): Promise<Sending> {
  const { bytesPerSecond = 8 * 1024 * 1024, env = {}, open = openPage, service = await startOwn({ env }) } = given;
  const line = await lineTo(service, bytesPerSecond);
  const big = await makeFile(name, size);
  const page = await open(line.url);
  await choose(page, big.path);
  await untilSent(page, name, part);
  // What the page calls sent may still lie in buffers.
  await expect.poll(() => line.sentBytes(), { timeout: 30_000 }).toBeGreaterThan(part * size);
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

/** To be looked at, where the environment asks for it: `dist/screenshots`, which is not committed. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env['TIDEMARK_SCREENSHOTS'] === undefined) return;
  const place = fileURLToPath(new URL('../../screenshots', import.meta.url));
  await mkdir(place, { recursive: true });
  await page.screenshot({ path: join(place, `${name}.png`) });
}

const DESKTOP = { width: 1_100, height: 800 };
const PHONE = { width: 360, height: 740 };

/** The screens on which a page is looked at in a language: together each pair of language, size and colours. */
const SCREENS = {
  'en-GB': [
    ['desktop-light', 'light', DESKTOP],
    ['phone-dark', 'dark', PHONE],
  ],
  'zh-CN': [
    ['desktop-dark', 'dark', DESKTOP],
    ['phone-light', 'light', PHONE],
  ],
} as const;

export const LOCALES = ['en-GB', 'zh-CN'] as const;

/** On each screen axe-core finds nothing in the page as it is now, and nothing is wider than the screen. */
export async function look(page: Page, locale: (typeof LOCALES)[number], name: string): Promise<void> {
  for (const [screen, colorScheme, viewport] of SCREENS[locale]) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await screenshot(page, `${name}-${screen}-${locale}`);
    expect(await findings(page), `${name} ${screen}`).toEqual([]);
    const excess = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(excess, `${name} ${screen}`).toBeLessThanOrEqual(0);
  }
}
