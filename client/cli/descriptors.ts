/** Limits how many files are sent at once to the file descriptors that the system allows. */
import { readFileSync } from 'node:fs';
import { MOST_STREAMS } from '../core/parts.ts';
import { sleep } from './retry.ts';
import type { Streams } from './streams.ts';

/** Descriptors left for standard streams, libraries, and files that are open only briefly. */
const KEPT_BACK = 40;
/** Descriptors of one file that is sent, beside its connections: the file, and its journal entry. */
const EACH = 2;
/** Most systems allow at least this many; used where the limit cannot be read. */
const ASSUMED = 256;
const LOOK_EVERY_MS = 25;

/** The most files that can be sent at once; at least 1. @param streams - connections for each of them. */
export function filesAtOnce(streams: Streams): number {
  const connections = streams === 'auto' ? MOST_STREAMS : streams;
  return Math.max(1, Math.floor((readLimit() - KEPT_BACK) / (EACH + connections)));
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
 * Opens something. Where no descriptor is left, waits until another file is closed. The system does not report that, so
 * this retries every few milliseconds.
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
