/** Reads back the bytes after the last part. */
import { createHash } from 'node:crypto';
import { StoreError } from '../store.ts';
import { type Asked, askOverTime, isMissing } from './ask.ts';
import { openContent } from './content.ts';
import type { Objects } from './objects.ts';
import type { Tail } from './state.ts';

/**
 * Reads the bytes from a part's start to the committed offset, and verifies their MD5.
 *
 * @param signal - ends a wait before another try.
 * @throws StoreError `missing` when they are gone; `unavailable` when a later try may find them.
 */
export async function readTail(
  objects: Objects,
  tail: Tail | null,
  start: number,
  offset: number,
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  if (!tail || tail.start !== start || start + tail.size !== offset) {
    throw new StoreError('missing', `no bytes were kept from ${start} to ${offset}`);
  }
  return askOverTime(objects.surroundings, `reading ${tail.key}`, () => readOnce(objects, tail), signal);
}

async function readOnce(objects: Objects, tail: Tail): Promise<Asked<Uint8Array[]>> {
  const hash = createHash('md5');
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of (await openContent(objects, tail.key)) as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      hash.update(chunk);
      length += chunk.length;
      if (length > tail.size) break;
    }
  } catch (error) {
    if (error instanceof StoreError && error.code === 'failed') return { evidence: error.message, isSure: false };
    if (!isMissing(error)) throw error;
    return { evidence: 'it is not there', isSure: (await objects.head(tail.key)) === undefined };
  }
  const md5 = hash.digest('hex');
  if (length === tail.size && md5 === tail.md5) return { found: chunks };
  // The ETag is the MD5 of the stored bytes, unless the provider encrypts.
  const stored = await objects.head(tail.key);
  return {
    evidence: `${length} bytes with MD5 ${md5}, not ${tail.size} with ${tail.md5}`,
    isSure: stored?.size === length && stored.etag !== tail.md5,
  };
}
