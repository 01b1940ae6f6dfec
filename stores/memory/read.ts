/** Reads entries as a stream. An open stream keeps its entries when their names are removed or replaced. */
import { Readable } from 'node:stream';
import type { ByteRange } from '../store.ts';
import type { Mount } from './mount.ts';
import type { Entry } from './platter.ts';

const READ_BYTES = 64 * 1024;

/** Opens all bytes of a list of entries, or a range of them. Each chunk that it delivers is a step that can fail. */
export function openStream(mount: Mount, name: string, entries: readonly Entry[], range?: ByteRange): Readable {
  return Readable.from(deliver(mount, name, entries, range), { objectMode: false });
}

async function* deliver(
  mount: Mount,
  name: string,
  entries: readonly Entry[],
  { start, end }: ByteRange = { start: 0, end: Infinity },
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const chunk of entries.flatMap(({ chunks }) => chunks)) {
    const to = Math.min(chunk.length, end + 1 - at);
    for (let from = Math.max(0, start - at); from < to; from += READ_BYTES) {
      await mount.read(name);
      yield chunk.subarray(from, Math.min(from + READ_BYTES, to));
    }
    at += chunk.length;
  }
}
