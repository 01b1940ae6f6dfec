/** How large requests may be, as answers have shown. Kept in the browser, for all tabs and later visits. */
import { type LearnedSize, readLearnedSize, sizeAfter } from '../../core/request-size.ts';
import { serviceUrl } from './base.ts';
import { discard, keep, recall } from './storage.ts';

/** Where the browser keeps nothing, this visit still knows it. */
let learned: LearnedSize | null = null;

/** Other services may have the same origin. */
function key(): string {
  return `tidemark-request-size ${serviceUrl('')}`;
}

/** Most bytes in the body of a request; null where no limit is known. */
export function mostRequestBytes(): number | null {
  return readLearnedSize(remembered() ?? learned, Date.now());
}

function remembered(): unknown {
  try {
    return JSON.parse(recall('localStorage', key()) ?? 'null');
  } catch {
    return null;
  }
}

/**
 * Takes note that something in front of the service has refused a request for its size.
 *
 * @returns false where a smaller request would be of no use.
 */
export function learnRequestSize(refusedBytes: number): boolean {
  const bytes = sizeAfter(refusedBytes, mostRequestBytes());
  if (bytes === null) {
    // Its size was not what kept the request from getting through: later ones need not be small.
    learned = null;
    discard('localStorage', key());
    return false;
  }
  learned = { bytes, at: Date.now() };
  keep('localStorage', key(), JSON.stringify(learned));
  return true;
}
