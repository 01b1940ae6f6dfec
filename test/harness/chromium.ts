/** The browsers for the page's tests. Vitest also loads this file before all tests, to report a missing browser once. */
import { findProgram } from './needs.ts';

/** Chromium on the PATH; undefined where there is none. */
export const chromiumPath = ['chromium', 'chromium-browser', 'google-chrome']
  .map(findProgram)
  .find((path) => path !== undefined);

/**
 * The same browser without windows, settings and a start page, where it is installed: a test then takes half of the
 * processor's time. It has no profile that outlives it.
 */
export const headlessPath = findProgram('chromium-headless-shell') ?? chromiumPath;

/** Called by Vitest. */
export function setup(): void {
  if (chromiumPath !== undefined) return;
  process.stdout.write('no Chromium on PATH: the tests of the page are skipped (Debian: apt-get install chromium)\n');
}
