/** Whose an unfinished upload is. */
import { expect, test } from 'vitest';
import { isOursToEnd } from '../../client/core/claims.ts';

const NONE = { adopted: null, shared: false, takenOver: false };

test.each([
  ['begun just now', {}, true],
  ['begun in an earlier life', { adopted: { name: 'a', isOurs: true } }, true],
  ['begun by another client', { adopted: { name: 'a', isOurs: false } }, false],
  ['shared', { shared: true }, false],
  ['taken over', { takenOver: true }, false],
  ['begun in an earlier life, and shared since', { adopted: { name: 'a', isOurs: true }, shared: true }, false],
])('an upload that was %s: ours to end: %s', (_, claim, expected) => {
  expect(isOursToEnd({ ...NONE, ...claim })).toBe(expected);
});
