/** Compares the codes that a client has computed of ranges with those of the stored bytes. */
import type { Readable } from 'node:stream';
import type { ContentRecord } from '../catalog/catalog.ts';
import { areCodesEqual, beginCode, type Challenge } from './challenges.ts';
import type { Parts } from './parts.ts';

/** How many ranges of one content are read at the same time: in a bucket each takes the time of a round trip. */
const READ_AT_ONCE = 16;
/** Ranges no further apart are read as one: what lies between them costs less than another request. */
const MOST_BETWEEN_BYTES = 128 * 1024;

/** A challenge with its codes: one for each range, in their order. */
export type Answered = Challenge & { readonly codes: readonly string[] };

/** Ranges that are read as one. */
interface Run {
  from: number;
  /** Index of the last range, and one more. */
  to: number;
}

/**
 * Whether the codes of these ranges are those of the stored bytes. Reads no more once one differs.
 *
 * @param indexes - of the ranges, in ascending order.
 * @throws StoreError: `missing` also where the stored bytes have another size.
 */
export async function areCodesOf(
  parts: Pick<Parts, 'store' | 'stopping'>,
  content: ContentRecord,
  answered: Answered,
  indexes: readonly number[],
): Promise<boolean> {
  const runs = runsOf(answered, indexes);
  let next = 0;
  let areEqual = true;

  async function work(): Promise<void> {
    for (let run = runs[next++]; run !== undefined && areEqual; run = runs[next++]) {
      try {
        if (!(await isRunEqual(parts, content, answered, run))) areEqual = false;
      } catch (error) {
        areEqual = false;
        throw error;
      }
    }
  }

  await Promise.all(Array.from({ length: READ_AT_ONCE }, work));
  return areEqual;
}

function runsOf({ ranges }: Challenge, indexes: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const index of indexes) {
    const last = runs.at(-1);
    const between = (ranges[index]?.start ?? 0) - (ranges[index - 1]?.end ?? 0);
    if (last?.to === index && between <= MOST_BETWEEN_BYTES) last.to = index + 1;
    else runs.push({ from: index, to: index + 1 });
  }
  return runs;
}

async function isRunEqual(
  { store, stopping }: Pick<Parts, 'store' | 'stopping'>,
  { key, size }: ContentRecord,
  answered: Answered,
  { from, to }: Run,
): Promise<boolean> {
  const ranges = answered.ranges.slice(from, to);
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (!first || !last) return true;
  const stream = await store.readContent(key, { start: first.start, end: last.end - 1 }, stopping, size);
  try {
    return await isStreamEqual(stream, { ...answered, ranges, codes: answered.codes.slice(from, to) });
  } finally {
    stream.destroy();
  }
}

/** @param answered - the ranges of the stream, which begins with the first of them, and ends with the last. */
async function isStreamEqual(stream: Readable, answered: Answered): Promise<boolean> {
  const { ranges, codes } = answered;
  let index = 0;
  let at = ranges[0]?.start ?? 0;
  let code = beginCode(answered);
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    for (let used = 0; used < chunk.length && index < ranges.length;) {
      const { start, end } = ranges[index] ?? { start: at, end: at };
      const piece = chunk.subarray(used, used + (at < start ? start : end) - at);
      if (at >= start) code.add(piece);
      used += piece.length;
      at += piece.length;
      if (at < end) continue;
      if (!areCodesEqual(codes[index] ?? '', code.end())) return false;
      index++;
      code = beginCode(answered);
    }
  }
  return index === ranges.length;
}
