/** The browsers for the page's tests. Vitest also loads this file before all tests, to report a missing browser once. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

function onPath(...names: string[]): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Chromium on the PATH; undefined where there is none. */
export const chromiumPath = onPath('chromium', 'chromium-browser', 'google-chrome');

/**
 * The same browser without windows, settings and a start page, where it is installed: a test then takes half of the
 * processor's time. It has no profile that outlives it.
 */
export const headlessPath = onPath('chromium-headless-shell') ?? chromiumPath;

/** Called by Vitest. */
export function setup(): void {
  if (chromiumPath !== undefined) return;
  process.stdout.write('no Chromium on PATH: the tests of the page are skipped (Debian: apt-get install chromium)\n');
}
