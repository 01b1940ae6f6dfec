/** The bytes of several uploads, one after the other, as one source. */
import { Readable } from 'node:stream';
import { StoreError, type StoredUpload } from './store.ts';

/** Opens the bytes of a complete upload, from one of them to the last. */
export type OpenPartial = (partial: StoredUpload, start: number) => AsyncIterable<Uint8Array>;

/**
 * Returns a source of the bytes of all partials from `offset` on. It has exactly as many as the partials: where one has
 * fewer, it breaks with StoreError `missing`.
 */
export function openJoined(partials: readonly StoredUpload[], offset: number, open: OpenPartial): Readable {
  return Readable.from(deliver(partials, offset, open), { objectMode: false });
}

async function* deliver(
  partials: readonly StoredUpload[],
  offset: number,
  open: OpenPartial,
): AsyncGenerator<Uint8Array> {
  let begin = 0;
  for (const partial of partials) {
    const size = partial.offset;
    const start = Math.max(0, offset - begin);
    begin += size;
    if (start >= size) continue;
    let left = size - start;
    for await (const chunk of open(partial, start)) {
      left -= chunk.length;
      yield left < 0 ? chunk.subarray(0, left) : chunk;
      if (left <= 0) break;
    }
    if (left > 0) throw new StoreError('missing', `upload ${partial.id} lacks ${left} of its bytes`);
  }
}
