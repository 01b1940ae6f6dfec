/** Chromium for the tests of the page: one browser for all tests of a process, and others for what it cannot do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Dialog,
  type Page,
} from 'playwright-core';
import { afterAll, describe, expect, onTestFinished } from 'vitest';
import { chromiumPath, headlessPath } from '../harness/chromium.ts';

/** A suite that needs a browser. */
export function describeInBrowser(name: string, body: () => void): void {
  // oxlint-disable-next-line vitest/valid-title -- it is handed on
  describe.skipIf(!chromiumPath)(name, () => {
    afterAll(stopForgetful);
    body();
  });
}

/** One process draws all pages of a context: a process for each address takes as long as to load the page. */
const ARGS = ['--no-sandbox', '--renderer-process-limit=1'];

let browser: Promise<Browser> | undefined;

/** The browser of the test process, which its first page starts. It ends when the process, which holds its pipe, has ended. */
function sharedBrowser(): Promise<Browser> {
  browser ??= launchShared();
  return browser;
}

async function launchShared(): Promise<Browser> {
  // The next page starts another one.
  const forget = (): void => {
    browser = undefined;
    idle.clear();
  };
  try {
    const launched = await chromium.launch({ executablePath: headlessPath ?? '', args: ARGS });
    launched.once('disconnected', forget);
    return launched;
  } catch (error) {
    forget();
    throw error;
  }
}

/** What all pages have in common. */
const USUAL: BrowserContextOptions = {
  locale: 'en-GB',
  viewport: { width: 1_100, height: 800 },
  reducedMotion: 'reduce',
};

/** Pages that wait for the next test, by the options that no page can change. */
const idle = new Map<string, Page[]>();

/**
 * Opens the page as a browser does that has never been there; whatever its scripts or its policy complain about fails the test,
 * but what is expected. The browser's page may be that of an earlier test, after a reset: a new one takes twice the time.
 */
export async function openPage(url: string, options: BrowserContextOptions = {}, expected = /$^/): Promise<Page> {
  const { viewport, colorScheme, permissions = [], ...fixed } = { ...USUAL, ...options };
  const kind = JSON.stringify(fixed);
  const page = idle.get(kind)?.pop() ?? (await newPage(fixed));
  if (viewport) await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme: colorScheme ?? 'light' });
  if (permissions.length > 0) await page.context().grantPermissions(permissions);
  const origins = new Set<string>();
  page.on('framenavigated', (frame) => origins.add(new URL(frame.url()).origin));
  return goTo(url, page, expected, async (hasFailed) => {
    // Nobody knows what a failure has left.
    if (hasFailed) return page.context().close();
    await reset(page, origins);
    idle.set(kind, [...(idle.get(kind) ?? []), page]);
  });
}

/** The same in a page that is closed with the test: for scripts and clocks that stay in a page, and for what is stored in its cache. */
export async function openFreshPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await newPage({ ...USUAL, ...options });
  return goTo(url, page, /$^/, () => page.context().close());
}

/** The same in a browser of its own, which draws each tab in a process of its own: the tab may crash. */
export async function openCrashingPage(url: string): Promise<Page> {
  const own = await chromium.launch({ executablePath: headlessPath ?? '', args: ['--no-sandbox'] });
  const page = await (await own.newContext(USUAL)).newPage();
  return goTo(url, page, /$^/, () => own.close());
}

async function newPage(options: BrowserContextOptions): Promise<Page> {
  const context = await (await sharedBrowser()).newContext(options);
  return context.newPage();
}

/** What a test listens for. Others are of Playwright itself. */
const LISTENED = ['console', 'dialog', 'download', 'filechooser', 'framenavigated', 'pageerror', 'request', 'response'];

/** Leaves the page, and has the browser forget all that it has kept of it. */
async function reset(page: Page, origins: Iterable<string>): Promise<void> {
  const context = page.context();
  for (const event of LISTENED) page.removeAllListeners(event);
  const leave = (dialog: Dialog): void => void dialog.accept();
  page.on('dialog', leave);
  for (const other of context.pages()) if (other !== page) await other.close();
  // First: requests that a test holds go on, some when the page is left, and the service would have what they carry.
  await context.setOffline(true);
  await page.goto('about:blank');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await context.setOffline(false);
  page.off('dialog', leave);
  await context.clearCookies();
  await context.clearPermissions();
  const session = await context.newCDPSession(page);
  for (const origin of origins) {
    if (origin !== 'null') await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' });
  }
  await session.detach();
}

let forgetful: Promise<{ context: BrowserContext; profile: string }> | undefined;

/** A browser of the suite that lets no site keep anything, as its settings offer: no cookies, no storage. */
async function startForgetful(): Promise<{ context: BrowserContext; profile: string }> {
  const profile = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  await mkdir(join(profile, 'Default'));
  const settings = { profile: { default_content_setting_values: { cookies: 2 } } };
  await writeFile(join(profile, 'Default/Preferences'), JSON.stringify(settings));
  const options = { executablePath: chromiumPath ?? '', args: ARGS, locale: 'en-GB' };
  return { context: await chromium.launchPersistentContext(profile, options), profile };
}

async function stopForgetful(): Promise<void> {
  const started = forgetful;
  forgetful = undefined;
  if (!started) return;
  const { context, profile } = await started;
  await context.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Opens the page in a browser that keeps nothing. */
export async function openForgetfulPage(url: string): Promise<Page> {
  forgetful ??= startForgetful();
  const page = await (await forgetful).context.newPage();
  return goTo(url, page, /$^/, () => page.close());
}

async function goTo(
  url: string,
  page: Page,
  expected: RegExp,
  finish: (hasFailed: boolean) => Promise<void>,
): Promise<Page> {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Uncaught/i.test(message.text())) complaints.push(message.text());
  });
  onTestFinished(async ({ task }) => {
    await finish(task.result?.state === 'fail');
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
