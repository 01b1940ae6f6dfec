/** How a content is cut into parts, and how the number of connections is found. */
import { describe, expect, test } from 'vitest';
import { cutIntoParts, isWorthParts, MOST_STREAMS, partBytesFor } from '../../client/core/parts.ts';
import { bytesIn, clipRanges, gapsIn, joinRanges, prefixLength, readRanges } from '../../client/core/ranges.ts';
import { createStreamTuner } from '../../client/core/stream-tuner.ts';
import {
  finalHeader,
  howToSend,
  isJoined,
  joinPauseMs,
  mayResumeParts,
  planParts,
  readPartRows,
  takesParts,
} from '../../client/core/upload-parts.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

describe('ranges', () => {
  test('are joined where they touch or overlap, and sorted', () => {
    const joined = joinRanges([
      { start: 20, end: 30 },
      { start: 0, end: 5 },
      { start: 5, end: 8 },
      { start: 25, end: 40 },
      { start: 50, end: 50 },
    ]);
    expect(joined).toEqual([
      { start: 0, end: 8 },
      { start: 20, end: 40 },
    ]);
    expect(bytesIn(joined)).toBe(28);
    expect(clipRanges(joined, 30)).toEqual([
      { start: 0, end: 8 },
      { start: 20, end: 30 },
    ]);
  });

  test('and their gaps are the whole content', () => {
    const held = [
      { start: 3, end: 5 },
      { start: 9, end: 12 },
    ];
    expect(gapsIn(held, 10)).toEqual([
      { start: 0, end: 3 },
      { start: 5, end: 9 },
    ]);
    expect(gapsIn([], 0)).toEqual([]);
    expect(gapsIn([{ start: 0, end: 10 }], 10)).toEqual([]);
  });

  test('are a prefix, or are none', () => {
    expect(prefixLength([])).toBe(0);
    expect(prefixLength([{ start: 0, end: 7 }])).toBe(7);
    expect(prefixLength([{ start: 1, end: 7 }])).toBeNull();
    expect(
      prefixLength([
        { start: 0, end: 7 },
        { start: 8, end: 9 },
      ]),
    ).toBeNull();
  });

  test('are read from pairs, and from nothing else', () => {
    expect(readRanges([[0, 4]])).toEqual([{ start: 0, end: 4 }]);
    for (const wrong of [undefined, {}, [1, 2], [[1]], [[2, 1]], [[-1, 3]], [['0', 3]], [[0, 1.5]]])
      expect(readRanges(wrong)).toBeNull();
  });
});

describe('parts', () => {
  test.each([0, 1, 8 * MIB, 16 * MIB - 1])('%d bytes are one part', (size) => {
    expect(isWorthParts(size)).toBe(false);
    expect(cutIntoParts(size, []).length).toBeLessThanOrEqual(1);
  });

  test.each([16 * MIB, 100 * MIB + 1, 256 * MIB, GIB, 5 * GIB + 3, 1024 * GIB])(
    '%d bytes are cut without a rest, into enough parts for all connections, none of them tiny',
    (size) => {
      const parts = cutIntoParts(size, []);
      expect(joinRanges(parts)).toEqual([{ start: 0, end: size }]);
      expect(bytesIn(parts)).toBe(size);
      const sizes = parts.map(({ start, end }) => end - start);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(8 * MIB);
      expect(Math.max(...sizes)).toBeLessThan(2 * partBytesFor(size));
      expect(parts.length).toBeLessThanOrEqual(64);
      if (size >= 128 * MIB) expect(parts.length).toBeGreaterThanOrEqual(MOST_STREAMS);
    },
  );

  test('what other parts have left is cut by itself', () => {
    const held = [
      { start: 5 * MIB, end: 40 * MIB },
      { start: 60 * MIB, end: 64 * MIB },
    ];
    const parts = cutIntoParts(64 * MIB, held);
    expect(joinRanges([...held, ...parts])).toEqual([{ start: 0, end: 64 * MIB }]);
    expect(parts).toEqual([
      { start: 0, end: 5 * MIB },
      { start: 40 * MIB, end: 50 * MIB },
      { start: 50 * MIB, end: 60 * MIB },
    ]);
  });
});

describe('an upload in parts', () => {
  const row = (start: number, end: number, url: string): { start: number; end: number; url: string } => ({
    start: start * MIB,
    end: end * MIB,
    url,
  });

  test('keeps the parts of an earlier run, and cuts the rest', () => {
    const plan = planParts(64 * MIB, [row(40, 48, 'b'), row(0, 30, 'a')]);
    expect(plan.map(({ url }) => url)).toEqual(['a', null, 'b', null, null]);
    expect(joinRanges(plan)).toEqual([{ start: 0, end: 64 * MIB }]);
    expect(bytesIn(plan)).toBe(64 * MIB);
  });

  test('drops rows that do not fit', () => {
    const plan = planParts(32 * MIB, [
      row(0, 10, 'a'),
      row(8, 16, 'overlaps'),
      row(30, 40, 'beyond'),
      row(5, 5, 'empty'),
    ]);
    expect(plan.map(({ url }) => url).filter(Boolean)).toEqual(['a']);
    expect(bytesIn(plan)).toBe(32 * MIB);
    expect(
      readPartRows([
        { start: 0, end: 1, url: 'http://s/uploads/x' },
        { start: 1, end: 2, url: 'http://s/x' },
        { start: 0 },
        null,
        7,
      ]),
    ).toEqual([{ start: 0, end: 1, url: 'http://s/uploads/x' }]);
    expect(readPartRows({})).toEqual([]);
  });

  test.each([
    // size, wantsStreams, hasParts, hasWhole
    [64 * MIB, false, false, false, 'whole'],
    [64 * MIB, true, false, false, 'inParts'],
    [8 * MIB, true, false, false, 'whole'],
    [64 * MIB, true, false, true, 'whole'],
    [64 * MIB, false, true, false, 'inParts'],
    [64 * MIB, true, true, true, 'inParts'],
  ] as const)('of %d bytes: wanted %s, parts %s, whole %s: %s', (size, wantsStreams, hasParts, hasWhole, way) => {
    expect(howToSend({ size, wantsStreams, hasParts, hasWhole })).toBe(way);
  });

  test('needs a service that joins parts, and takes the whole', () => {
    const extensions = 'creation, termination,concatenation ,concatenation-unfinished';
    expect(takesParts({ extensions, maxSize: null }, GIB)).toBe(true);
    expect(takesParts({ extensions, maxSize: String(GIB) }, GIB)).toBe(true);
    expect(takesParts({ extensions, maxSize: String(GIB) }, GIB + 1)).toBe(false);
    expect(takesParts({ extensions: 'creation,concatenation-unfinished', maxSize: null }, 1)).toBe(false);
    expect(takesParts({ extensions: '', maxSize: null }, 1)).toBe(false);
  });

  test('is left to a run that sends it', () => {
    expect(mayResumeParts('ended', [])).toBe(true);
    expect(mayResumeParts('running', [100])).toBe(false);
    expect(mayResumeParts('unknown', [100, 15, Infinity])).toBe(true);
    expect(mayResumeParts('unknown', [100, 14])).toBe(false);
  });

  test('is looked at less and less often while it is joined', () => {
    const pauses = [0, 1, 2, 3, 4, 5, 6, 100].map(joinPauseMs);
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    expect(isJoined(undefined)).toBe(false);
    expect(isJoined('')).toBe(false);
    expect(isJoined('0')).toBe(true);
  });

  test('names its parts by their paths', () => {
    expect(finalHeader(['http://a.example:8080/base/uploads/1', 'https://b.example/uploads/2'])).toBe(
      'final;/base/uploads/1 /uploads/2',
    );
  });
});

describe('auto', () => {
  /** Where a transfer ends up, with what so many connections carry together, in bytes per second. */
  function settle(rate: (streams: number) => number): number[] {
    const tuner = createStreamTuner(0);
    const seen: number[] = [];
    let moved = 0;
    let streams = 1;
    for (let ms = 0; ms <= 120_000; ms += 250) {
      streams = tuner.look(ms, moved);
      if (streams !== seen.at(-1)) seen.push(streams);
      moved += rate(streams) / 4;
    }
    return seen;
  }

  test('adds connections where each has a limit of its own', () => {
    expect(settle((streams) => streams * 8 * MIB)).toEqual([1, 2, 4, 8, MOST_STREAMS]);
  });

  test('stops where the link is full, and takes those away that did not help', () => {
    expect(settle((streams) => Math.min(streams * 8, 24) * MIB)).toEqual([1, 2, 4]);
    expect(settle((streams) => Math.min(streams * 8, 17) * MIB)).toEqual([1, 2, 4, 2]);
    expect(settle(() => 8 * MIB)).toEqual([1, 2, 1]);
  });

  test('does not judge a line that is broken', () => {
    expect(settle(() => 0)).toEqual([1]);
  });
});
