/** Which refusals tell where an upload stands. */
import { expect, test } from 'vitest';
import { tellsOffset } from '../../client/core/offset-told.ts';

test.each([
  ['HEAD', 404, '0', true],
  ['HEAD', 404, '1048576', true],
  // An upload that is gone, or a stranger's.
  ['HEAD', 404, undefined, false],
  ['HEAD', 404, null, false],
  ['HEAD', 404, 'many', false],
  ['HEAD', 410, '5', false],
  ['PATCH', 404, '5', false],
  ['GET', 404, '5', false],
])('%s, %i, Upload-Offset %s: %s', (method, status, uploadOffset, expected) => {
  expect(tellsOffset(method, status, uploadOffset)).toBe(expected);
});
