/** File descriptors: how many files can be on their way at once. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** Standard streams, libraries, and what is opened for a moment. */
const KEPT_BACK = 40;
/** A file on its way has its own, its connection's, and one for what is remembered of it. */
const EACH = 3;
/** What most systems allow at least, where this one does not say. */
const ASSUMED = 256;
const LOOK_EVERY_MS = 25;

/** How many files the system lets us send at once. */
export function filesAtOnce(): number {
  return Math.max(1, Math.floor((readLimit() - KEPT_BACK) / EACH));
}

function readLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit ?? ASSUMED);
  } catch {
    return ASSUMED;
  }
}

/** Opens something; where there is no descriptor left, once another file has given one back. */
export async function withDescriptor<T>(open: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
    }
    await wait(LOOK_EVERY_MS);
  }
}
