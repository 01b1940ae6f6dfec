import { expect, test } from 'vitest';
import { keepEntryForMs, lifeLeftMs } from '../../client/core/journal-life.ts';

const DAY_MS = 24 * 3_600_000;
const NOW = Date.parse('Thu, 26 Nov 2026 12:00:00 GMT');

test.each([
  ['Sat, 26 Dec 2026 12:00:00 GMT', 30 * DAY_MS],
  ['Wed, 25 Nov 2026 12:00:00 GMT', 0],
  ['soon', null],
  [null, null],
  [undefined, null],
])('an upload that expires at %s', (expires, lifeMs) => {
  expect(lifeLeftMs(expires, NOW)).toBe(lifeMs);
});

test.each([
  [null, 7 * DAY_MS],
  [undefined, 7 * DAY_MS],
  [-1, 7 * DAY_MS],
  [NaN, 7 * DAY_MS],
  [30 * DAY_MS, 37 * DAY_MS],
  [Infinity, 3657 * DAY_MS],
])('an entry with a life of %s ms', (lifeMs, keptMs) => {
  expect(keepEntryForMs(7 * DAY_MS, lifeMs)).toBe(keptMs);
});
