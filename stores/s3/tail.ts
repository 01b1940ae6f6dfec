/** Reading back the bytes after the last part. */
import { StoreError } from '../store.ts';
import { openContent } from './content.ts';
import type { Objects } from './objects.ts';
import type { Tail } from './state.ts';

/**
 * The bytes from a part's start to the committed offset.
 *
 * @throws StoreError `missing` when the tail is not what was committed.
 */
export async function readTail(
  objects: Objects,
  tail: Tail | null,
  start: number,
  offset: number,
): Promise<Uint8Array[]> {
  if (!tail || tail.start !== start || start + tail.size !== offset) {
    throw new StoreError('missing', `no bytes were kept from ${start} to ${offset}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (await openContent(objects, tail.key)) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length === tail.size) return chunks;
  throw new StoreError('missing', `${tail.key} has ${length} bytes, not ${tail.size}`);
}
