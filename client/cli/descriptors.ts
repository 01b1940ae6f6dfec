/** File descriptors: how many files can be sent at once. */
import { readFileSync } from 'node:fs';
import { sleep } from './retry.ts';

/** For standard streams, libraries, and files that are opened for a moment. */
const KEPT_BACK = 40;
/** A file that is sent takes its own, one for its connection, and one for its journal. */
const EACH = 3;
/** Most systems allow at least this many; used where this system does not tell. */
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

/**
 * Opens something. Where no descriptor is left, waits until another file has been closed; the system does not tell when,
 * so it tries again and again.
 *
 * @throws the reason of the signal, once it is aborted.
 */
export async function withDescriptor<T>(open: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await open();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
    }
    await sleep(LOOK_EVERY_MS, signal);
  }
}
