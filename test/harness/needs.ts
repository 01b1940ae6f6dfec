/** Checks for what some tests need of the machine. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Passes `found` on. Where it is false, prints why tests are skipped: in CI a skipped test is a failure.
 *
 * @param toGetIt - what is missing, and how to get it.
 */
export function isHere(found: boolean, toGetIt: string): boolean {
  if (!found) console.warn(`skipped: ${toGetIt}`);
  return found;
}

/** Whether /proc exists, in which tests look at connections, names and memory. */
export const IS_LINUX = isHere(process.platform === 'linux', 'what is seen in /proc needs Linux');

/** Whether there is an executable file at this path. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where a program of this machine is. Debian installs some into folders that only root's PATH has. */
export function findProgram(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
    .map((folder) => join(folder, name))
    .find((path) => isExecutable(path));
}
