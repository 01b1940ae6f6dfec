/** The table of a transfer's phases. */
import { expect, test } from 'vitest';
import { type Outcome, type Phase, phaseAfter } from '../../client/core/transfer-phases.ts';

/** With the address of an upload and without; where no new upload may be begun, and with one that may. */
test.each([
  ['sent', 'done', 'done', 'fail'],
  ['lost', 'beginAnew', 'fail', 'fail'],
  ['takenOver', 'standBack', 'standBack', 'findCreated'],
  ['obstacle', 'send', 'send', 'findCreated'],
  ['fatal', 'fail', 'fail', 'fail'],
  ['settled', 'send', 'send', 'send'],
  ['slow', 'beginAnew', 'send', 'send'],
] as [Outcome, Phase, Phase, Phase][])(
  '%s: %s, without a new beginning %s, without an upload %s',
  (outcome, ...expected) => {
    const seen = [
      { hasUpload: true, hasFile: false, canBeginAnew: true },
      { hasUpload: true, hasFile: false, canBeginAnew: false },
      { hasUpload: false, hasFile: false, canBeginAnew: true },
    ].map((standing) => phaseAfter(outcome, standing));
    expect(seen).toEqual(expected);
  },
);

test('a creation that published its file is done, though its answer got lost', () => {
  expect(phaseAfter('settled', { hasUpload: false, hasFile: true, canBeginAnew: true })).toBe('done');
  expect(phaseAfter('obstacle', { hasUpload: false, hasFile: true, canBeginAnew: true })).toBe('findCreated');
});
