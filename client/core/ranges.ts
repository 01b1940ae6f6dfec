/** Which bytes of a content are there, as ranges, and which are missing. */

/** The bytes from `start` up to `end`, which is not part of it. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Sorts ranges, and joins those that touch or overlap. Empty ranges are dropped. */
export function joinRanges(ranges: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    if (range.end <= range.start) continue;
    const last = joined.at(-1);
    if (last !== undefined && range.start <= last.end) {
      joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
    } else {
      joined.push(range);
    }
  }
  return joined;
}

/** What of the ranges lies before `end`. */
export function clipRanges(ranges: readonly Range[], end: number): Range[] {
  return joinRanges(ranges.map((range) => ({ start: range.start, end: Math.min(range.end, end) })));
}

/** The ranges of a content of `size` bytes that `held` lacks, in order. */
export function gapsIn(held: readonly Range[], size: number): Range[] {
  const gaps: Range[] = [];
  let at = 0;
  for (const { start, end } of clipRanges(held, size)) {
    if (start > at) gaps.push({ start: at, end: start });
    at = end;
  }
  if (at < size) gaps.push({ start: at, end: size });
  return gaps;
}

/** How many bytes the ranges have together; they must not overlap. */
export function bytesIn(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** How long the beginning of the content is that the ranges consist of; null where they have anything else. */
export function prefixLength(held: readonly Range[]): number | null {
  const [first, ...others] = held;
  if (first === undefined) return 0;
  return first.start === 0 && others.length === 0 ? first.end : null;
}

/** Reads ranges that were kept as pairs of numbers; null where they are none. */
export function readRanges(value: unknown): Range[] | null {
  if (!Array.isArray(value)) return null;
  const ranges: Range[] = [];
  for (const pair of value as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return null;
    const [start, end] = pair as [unknown, unknown];
    if (!isPosition(start) || !isPosition(end) || end < start) return null;
    ranges.push({ start, end });
  }
  return joinRanges(ranges);
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
