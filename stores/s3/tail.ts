/** Reading back the bytes after the last part. */
import type { Readable } from 'node:stream';
import { StoreError } from '../store.ts';
import { toStoreError } from './errors.ts';
import type { Objects } from './objects.ts';
import type { Tail } from './state.ts';

const ATTEMPTS = 3;
const SILENCE_MS = 30_000;

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
  for (let tried = 1; ; tried++) {
    try {
      const chunks = await readAll(await objects.get(tail.key));
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      if (length === tail.size) return chunks;
      throw new StoreError('missing', `${tail.key} has ${length} bytes, not ${tail.size}`);
    } catch (error) {
      // The line broke in the middle of it.
      if (error instanceof StoreError || tried === ATTEMPTS) throw toStoreError(error, `reading ${tail.key}`);
    }
  }
}

async function readAll(stream: Readable): Promise<Uint8Array[]> {
  const silence = setTimeout(() => stream.destroy(new Error('the bucket went silent')), SILENCE_MS);
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      silence.refresh();
    }
    return chunks;
  } finally {
    clearTimeout(silence);
  }
}
