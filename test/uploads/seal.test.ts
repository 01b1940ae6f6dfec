/** Sealed texts: what is the service's stays readable for the service alone. */
import { expect, test } from 'vitest';
import { createDeletionIds, createSeal, createSealedCursors } from '../../server/uploads/seal.ts';

const SECRET = '0123456789abcdef'.repeat(2);

test('opens for its owner, on every node, and is the same each time', () => {
  const [one, other] = [createSeal(SECRET, 'tests'), createSeal(SECRET, 'tests')];
  for (const text of ['', 'x', '17-1700000000000', 'ü'.repeat(5_000)]) {
    const sealed = one.seal('ann', Buffer.from(text));
    expect(sealed).toMatch(/^[\w-]+$/);
    expect(other.seal('ann', Buffer.from(text))).toBe(sealed);
    expect(other.open('ann', sealed)?.toString()).toBe(text);
  }
});

test('opens for nobody else, for nothing else, with no other secret, and not once a bit is changed', () => {
  const seals = createSeal(SECRET, 'tests');
  const sealed = seals.seal('ann', Buffer.from('17-1700000000000'));
  expect(seals.open('bob', sealed)).toBeUndefined();
  expect(createSeal(SECRET, 'other tests').open('ann', sealed)).toBeUndefined();
  expect(createSeal(SECRET.replace('0', 'f'), 'tests').open('ann', sealed)).toBeUndefined();
  const bytes = Buffer.from(sealed, 'base64url');
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(seals.open('ann', changed.toString('base64url'))).toBeUndefined();
    expect(seals.open('ann', bytes.subarray(0, at).toString('base64url'))).toBeUndefined();
  }
  for (const text of ['', '~', 'x'.repeat(60)]) expect(seals.open('ann', text)).toBeUndefined();
});

test('no text shows in what is sealed, nor that another owner has the same', () => {
  const seals = createSeal(SECRET, 'tests');
  const text = 'a text that is easily seen';
  expect(Buffer.from(seals.seal('ann', Buffer.from(text)), 'base64url').toString('latin1')).not.toContain(
    text.slice(0, 4),
  );
  const [anns, bobs] = ['ann', 'bob'].map((owner) => Buffer.from(seals.seal(owner, Buffer.from(text)), 'base64url'));
  expect(anns?.subarray(0, 12)).not.toEqual(bobs?.subarray(0, 12));
});

test('cursors are as long as before but for nonce and mark; one that was made up is refused, and a deletion is none', () => {
  const cursors = createSealedCursors(SECRET);
  const cursor = Buffer.from(
    JSON.stringify([
      ['level', 17, 'name', false],
      ['files', 'a', 'b'],
    ]),
  ).toString('base64url');
  const sealed = cursors.seal('ann', cursor) ?? '';
  expect(sealed.length).toBeLessThan(cursor.length + 40);
  expect(cursors.opened({ owner: 'ann', cursor: sealed })).toEqual({ owner: 'ann', cursor });
  expect(cursors.opened({ owner: 'ann' })).toEqual({ owner: 'ann' });
  expect(cursors.seal('ann', null)).toBeNull();
  for (const given of [cursor, '', createDeletionIds(SECRET).seal('ann', '17-1')])
    expect(() => cursors.opened({ owner: 'ann', cursor: given })).toThrow(
      expect.objectContaining({ code: 'invalid_cursor' }),
    );
  expect(createDeletionIds(SECRET).open('ann', '17-1')).toBe('');
});
