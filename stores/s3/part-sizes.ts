/** Where the parts of an upload begin and end: fixed by offset alone, so that a part sent twice is the same part. */

const MIB = 1024 * 1024;
/** S3: most parts of an upload. */
export const MOST_PARTS = 10_000;
/** S3: largest object. */
export const MOST_BYTES = 5 * 1024 * 1024 * MIB;
/** For an upload of unknown length, parts double in size after every thousand. */
const DOUBLE_EVERY = 1_000;

/** `first`: size of part 1. `doubling`: parts double in size every thousand. */
export interface PartSizes {
  first: number;
  doubling: boolean;
}

/** Where a part is within its upload. */
export interface PartPlace {
  /** From 1. */
  number: number;
  start: number;
  /** First byte after it. */
  end: number;
}

/**
 * The part sizes for an upload.
 *
 * @param size - its length; null: not known yet.
 * @param partBytes - what parts have where an object of this length takes no larger ones.
 */
export function choosePartSizes(size: number | null, partBytes: number): PartSizes {
  if (size === null) return { first: partBytes, doubling: true };
  // Whole MiB, but where the parts that are asked for are enough.
  const needed = Math.ceil(size / MOST_PARTS);
  return { first: needed <= partBytes ? partBytes : Math.ceil(needed / MIB) * MIB, doubling: false };
}

/** The part that this byte belongs to; undefined beyond the last possible part. */
export function placeOf(sizes: PartSizes, offset: number): PartPlace | undefined {
  let firstNumber = 1;
  let from = 0;
  let partBytes = sizes.first;
  if (sizes.doubling) {
    for (; offset >= from + partBytes * DOUBLE_EVERY; partBytes *= 2) {
      from += partBytes * DOUBLE_EVERY;
      firstNumber += DOUBLE_EVERY;
    }
  }
  const index = Math.floor((offset - from) / partBytes);
  const number = firstNumber + index;
  if (number > MOST_PARTS) return undefined;
  const start = from + index * partBytes;
  return { number, start, end: start + partBytes };
}
