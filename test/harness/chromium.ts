/** The browser for the page's tests. Vitest also loads this file before all tests, to report a missing browser once. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Chromium on the PATH; undefined where there is none. */
export const chromiumPath: string | undefined = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

/** Called by Vitest. */
export function setup(): void {
  if (chromiumPath !== undefined) return;
  process.stdout.write('no Chromium on PATH: the tests of the page are skipped (Debian: apt-get install chromium)\n');
}
