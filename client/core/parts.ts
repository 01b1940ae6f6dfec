/** How a content is cut into parts, which several connections carry at the same time. */
import { gapsIn, type Range } from './ranges.ts';

/** Connections at once: more of them gain nothing that a link still has to give, and take from everyone else. */
export const MOST_STREAMS = 16;

/** A smaller part costs more in round trips than another connection gains. */
const LEAST_PART_BYTES = 8 * 1024 * 1024;
/** A content has so many parts where none of them gets too small: the last ones end at about the same time. */
const USUAL_PARTS = 16;
/** A part of this size is large enough; a larger content has more parts. */
const LARGE_PART_BYTES = 64 * 1024 * 1024;
/** Only the largest contents have parts that are larger still. */
const MOST_PARTS = 64;

/** The size of the parts of a content. It is the same for any number of connections: each run resumes any other's parts. */
export function partBytesFor(size: number): number {
  const usual = Math.min(LARGE_PART_BYTES, Math.ceil(size / USUAL_PARTS));
  return Math.max(LEAST_PART_BYTES, usual, Math.ceil(size / MOST_PARTS));
}

/**
 * Cuts what is missing of a content into parts. Where parts of an earlier run are in between, or its policy was another one,
 * each gap is cut by itself, evenly.
 *
 * @param held - the ranges that have their parts, or their bytes, already.
 */
export function cutIntoParts(size: number, held: readonly Range[]): Range[] {
  const partBytes = partBytesFor(size);
  return gapsIn(held, size).flatMap((gap) => cutEvenly(gap, partBytes));
}

/** Whether a content has more than one part: otherwise one connection carries it. */
export function isWorthParts(size: number): boolean {
  return size >= 2 * LEAST_PART_BYTES;
}

function cutEvenly({ start, end }: Range, partBytes: number): Range[] {
  const length = end - start;
  // Rounded down: a part that is a little larger is better than a tiny one.
  const count = Math.max(1, Math.floor(length / partBytes));
  return Array.from({ length: count }, (_, index) => ({
    start: start + Math.floor((length * index) / count),
    end: start + Math.floor((length * (index + 1)) / count),
  }));
}
