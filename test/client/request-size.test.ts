/** The policy of a client towards limits of what stands in front of the service. */
import { expect, test } from 'vitest';
import { isRefusedOnTheWay, KEEP_SIZE_MS, readLearnedSize, sizeAfter } from '../../client/core/request-size.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** The sizes that follow each other until a request gets through, or none is left. */
function sizesUntil(first: number, limit: number): (number | null)[] {
  const sizes: (number | null)[] = [];
  let size: number | null = first;
  let known: number | null = null;
  while (size !== null && size > limit) {
    known = sizeAfter(size, known);
    sizes.push(known);
    size = known;
  }
  return sizes;
}

test.each([
  ['Cloudflare', 1e9, 100e6, [95 * MIB]],
  ['IIS', 1e9, 30e6, [95 * MIB, 28 * MIB]],
  ['nginx', 50 * MIB, MIB, [28 * MIB, 9 * MIB, 4 * MIB, MIB]],
  ['ModSecurity', 700_000, 128 * KIB, [512 * KIB, 128 * KIB]],
  ['what lets 64 KiB through', MIB, 64 * KIB, [512 * KIB, 128 * KIB, 64 * KIB]],
  ['what lets nothing through', MIB, 0, [512 * KIB, 128 * KIB, 64 * KIB, null]],
  ['a small file that is refused', 60 * KIB, 0, [null]],
])('%s: a request of %i bytes, a limit of %i', (_, first, limit, sizes) => {
  expect(sizesUntil(first, limit)).toEqual(sizes);
});

test('a request that was sent before the limit was known teaches nothing more', () => {
  expect(sizeAfter(50 * MIB, 4 * MIB)).toBe(4 * MIB);
  expect(sizeAfter(4 * MIB, 4 * MIB)).toBe(MIB);
  expect(sizeAfter(100, 4 * MIB)).toBeNull();
});

test.each([
  [413, null, undefined, true],
  [413, 'refused', undefined, true],
  [413, 'unknown', null, true],
  [413, 'too_large', undefined, false],
  [413, 'too_large', '1.0.0', false],
  [413, 'over_quota', undefined, false],
  [413, 'refused', '1.0.0', false],
  [414, null, undefined, false],
  [502, null, undefined, false],
])('%i %s, Tus-Resumable %s: refused on the way is %s', (status, code, tusResumable, expected) => {
  expect(isRefusedOnTheWay(status, code, tusResumable)).toBe(expected);
});

test.each([
  [{ bytes: MIB, at: 1_000 }, 1_000, MIB],
  [{ bytes: MIB, at: 1_000 }, 999 + KEEP_SIZE_MS, MIB],
  [{ bytes: MIB, at: 1_000 }, 1_000 + KEEP_SIZE_MS, null],
  // The clock was set back: nothing tells how old it is.
  [{ bytes: MIB, at: 1_000 }, 999, null],
  [{ bytes: 1, at: 1_000 }, 1_000, null],
  [{ bytes: '1048576', at: 1_000 }, 1_000, null],
  [{ bytes: MIB }, 1_000, null],
  ['text', 1_000, null],
  [null, 1_000, null],
])('what was remembered, %o, is worth at %i: %s', (remembered, nowMs, expected) => {
  expect(readLearnedSize(remembered, nowMs)).toBe(expected);
});
