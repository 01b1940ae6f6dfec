/**
 * A catalog that retries transactions that were not committed: those that conflicted with another, and those whose
 * connection was lost before the commit. Each method is one transaction, so that calling it again is safe. When the answer
 * to a commit is lost, it is not safe: the method throws `unavailable`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../catalog.ts';
import { isUndone } from './errors.ts';

const MOST_TRIES = 6;
/** The limit of the first pause; it doubles with every try, to about half a second for all together. */
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
    // Random, so that the transactions do not conflict again.
    await sleep(Math.random() * pauseMs);
  }
}
