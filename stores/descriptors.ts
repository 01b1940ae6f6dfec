/** File descriptors: how many this process may have, and patience when there is none left. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** What most systems allow, where this one does not say. */
const ASSUMED = 1024;
/** Most descriptors are closed within milliseconds. One that is held longer belongs to a slow client, and there may be many of these. */
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
 * Opens something, and waits for a descriptor where there is none.
 *
 * @throws what `open` threw, EMFILE and ENFILE only after a while.
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
