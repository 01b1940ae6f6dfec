/** What some tests need of the machine. */
import { accessSync, constants } from 'node:fs';

/**
 * Whether it is here. Where it is not, says once what is skipped for it, and how to get it: in CI a skipped test is a
 * failure.
 */
export function isHere(found: boolean, toGetIt: string): boolean {
  if (!found) console.warn(`skipped: ${toGetIt}`);
  return found;
}

/** Connections, names and memory as only Linux shows them. */
export const IS_LINUX = isHere(process.platform === 'linux', 'what is seen in /proc needs Linux');

/** Whether there is a program. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
