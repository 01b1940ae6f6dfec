/** Where everything is in a ZIP file of known entries: so its length is known before its first byte, and it can begin anywhere. */
import {
  type Central,
  type Entry,
  centralHeader,
  centralLength,
  descriptor,
  descriptorLength,
  endLength,
  endRecords,
  localHeader,
  localLength,
} from './records.ts';

export interface Layout {
  readonly entries: readonly Entry[];
  /** Where the local header of each entry begins. */
  readonly offsets: Float64Array;
  readonly central: Central;
  /** Of the whole file, in bytes. */
  readonly size: number;
}

/** Lays the entries out, one after the other. */
export function layOut(entries: readonly Entry[]): Layout {
  const offsets = new Float64Array(entries.length);
  let at = 0;
  let centralSize = 0;
  entries.forEach((entry, index) => {
    offsets[index] = at;
    centralSize += centralLength(entry, at);
    at += localLength(entry) + entry.size + descriptorLength(entry);
  });
  const central = { count: entries.length, offset: at, size: centralSize };
  return { entries, offsets, central, size: at + centralSize + endLength(central) };
}

/** The first and the last byte of a file or an entry, inclusive. */
export interface Span {
  start: number;
  end: number;
}

/** Where the bytes and the CRC-32 of entries come from. */
export interface Sources {
  /** The bytes of an entry. @param span - of the entry; never empty. */
  bytes(index: number, span: Span): AsyncIterable<Uint8Array>;
  /** Asked for once `bytes` has ended, where the entry's bytes are sent; otherwise at any time. */
  crc32(index: number): Promise<number> | number;
}

/** The bytes of a ZIP file from `start` to `end`, in chunks as they come: many are small. */
export async function* bytesOf(layout: Layout, { start, end }: Span, sources: Sources): AsyncGenerator<Uint8Array> {
  const { entries, central } = layout;

  /** The part of a record that was asked for. */
  function* clip(record: Buffer, at: number): Generator<Uint8Array> {
    const part = record.subarray(Math.max(0, start - at), Math.max(0, end + 1 - at));
    if (part.length > 0) yield part;
  }

  for (let index = entryAt(layout, start); index < entries.length; index++) {
    const { entry, at } = entryOf(layout, index);
    if (at > end) return;
    yield* clip(localHeader(entry), at);
    const dataAt = at + localLength(entry);
    const span = { start: Math.max(0, start - dataAt), end: Math.min(entry.size - 1, end - dataAt) };
    if (span.start <= span.end) yield* sources.bytes(index, span);
    const after = dataAt + entry.size;
    if (end >= after && start < after + descriptorLength(entry)) {
      yield* clip(descriptor(entry, await sources.crc32(index)), after);
    }
  }

  let at = central.offset;
  for (let index = 0; index < entries.length && at <= end; index++) {
    const { entry, at: offset } = entryOf(layout, index);
    const length = centralLength(entry, offset);
    // Asked for only where it is sent: to find it out may take long.
    if (at + length > start) yield* clip(centralHeader(entry, offset, await sources.crc32(index)), at);
    at += length;
  }
  yield* clip(endRecords(central), central.offset + central.size);
}

function entryOf({ entries, offsets }: Layout, index: number): { entry: Entry; at: number } {
  const [entry, at] = [entries[index], offsets[index]];
  if (entry === undefined || at === undefined) throw new Error(`the archive has no entry ${index}`);
  return { entry, at };
}

/** The index of the entry that has this byte; the number of entries, where it is after the last of them. */
function entryAt({ offsets, central }: Layout, byte: number): number {
  if (byte >= central.offset) return offsets.length;
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((offsets[middle] ?? 0) <= byte) low = middle;
    else high = middle - 1;
  }
  return low;
}
