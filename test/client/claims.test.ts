/** Whose an unfinished upload is. */
import { expect, test } from 'vitest';
import { isOursToEnd, readClaim } from '../../client/core/claims.ts';

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

const OURS = { name: 'a', isOurs: true };
test.each([
  ['one without an upload', { url: null }, NONE],
  ['one that is sent', { url: 'u', urlSha256: 's', adopted: null, shared: false, takenOver: false }, NONE],
  ['one that is resumed', { url: 'u', urlSha256: 's', adopted: OURS, shared: false }, { ...NONE, adopted: OURS }],
  [
    'one that was taken over',
    { url: 'u', urlSha256: 's', adopted: null, shared: true, takenOver: true },
    { ...NONE, shared: true, takenOver: true },
  ],
  ['one of an earlier edition, which wrote no SHA-256', { url: 'u' }, { ...NONE, shared: true }],
  ['such a one, read and written again', { url: 'u', urlSha256: null, shared: false }, { ...NONE, shared: true }],
])('a journal says of %s', (_, written, expected) => {
  expect(readClaim(written)).toEqual(expected);
});
