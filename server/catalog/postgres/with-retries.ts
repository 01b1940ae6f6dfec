/**
 * A catalog that tries again what has not happened: transactions that were in each other's way, and those whose
 * connection was lost before their commit. Each method is one transaction, so that repeating it is safe then. After a
 * commit whose answer was lost it is not: that leaves as `unavailable`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../catalog.ts';
import { isUndone } from './errors.ts';

const MOST_TRIES = 6;
/** Doubles with every try: about half a second together. */
const FIRST_PAUSE_MS = 16;

/** Wraps each method of the catalog. */
export function withRetries(catalog: Catalog): Catalog {
  const wrapped = Object.entries(catalog).map(([name, member]: [string, unknown]) => [
    name,
    typeof member === 'function' ? (...args: unknown[]) => trying(() => member(...args) as Promise<unknown>) : member,
  ]);
  return Object.fromEntries(wrapped) as Catalog;
}

async function trying<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let pauseMs = FIRST_PAUSE_MS, left = MOST_TRIES; ; pauseMs *= 2) {
    try {
      return await run();
    } catch (error) {
      if (--left === 0 || !isUndone(error)) throw error;
    }
    // By chance, so that those that were in each other's way do not meet again.
    await sleep(Math.random() * pauseMs);
  }
}
