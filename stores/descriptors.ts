/** File descriptors: how many this process may have, and waiting for one when none is left. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** Where the system does not say how many: what most systems allow. */
const ASSUMED = 1024;
/** How long to wait. Most descriptors are closed within milliseconds; the others belong to slow clients, of which there may be many. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 10;

/** How many descriptors this process may have; Node raises the soft limit to the hard one at its start. */
export function readDescriptorLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit ?? ASSUMED);
  } catch {
    return ASSUMED;
  }
}

/**
 * Calls `open`, and again while no descriptor is left.
 *
 * @throws what `open` threw; EMFILE and ENFILE only after ten seconds.
 */
export async function withDescriptor<T>(open: () => T | Promise<T>): Promise<T> {
  const givenUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== 'EMFILE' && code !== 'ENFILE') || performance.now() > givenUpAt) throw error;
    }
    await wait(LOOK_EVERY_MS);
  }
}
