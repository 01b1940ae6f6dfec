import { expect, test } from 'vitest';
import { createCursors } from '../../server/outbox/cursor.ts';

const SECRET = '000102030405060708090a0b0c0d0e0f';
const cursors = createCursors(SECRET);

test('a cursor is the same wherever the secret is, and is read back', () => {
  for (const number of [0, 1, 77, 2 ** 48 - 1]) {
    const cursor = cursors.write('ann', number);
    expect(cursor).toMatch(/^[\w-]{22}$/);
    expect(createCursors(SECRET).write('ann', number)).toBe(cursor);
    expect(createCursors(SECRET).read('ann', cursor)).toBe(number);
  }
});

test('one of another owner, of another catalog, or that was made up is none', () => {
  const cursor = cursors.write('ann', 7);
  expect(cursors.read('bob', cursor)).toBeUndefined();
  expect(createCursors(SECRET.replace('00', '01')).read('ann', cursor)).toBeUndefined();
  for (const other of ['', 'x', `${cursor}A`, cursor.slice(1), 'A'.repeat(22), '*'.repeat(22), `${cursor}\n`]) {
    expect(cursors.read('ann', other), other).toBeUndefined();
  }
  for (let at = 0; at < 22; at++) {
    const changed = `${cursor.slice(0, at)}${cursor[at] === 'Q' ? 'R' : 'Q'}${cursor.slice(at + 1)}`;
    // The last character has four bits that count for nothing.
    if (at < 21) expect(cursors.read('ann', changed), changed).toBeUndefined();
  }
});

test('nothing of number or owner can be seen in it', () => {
  const all = Array.from({ length: 1000 }, (_, number) => Buffer.from(cursors.write('ann', number), 'base64url'));
  for (let byte = 0; byte < 16; byte++) {
    // Of 256 values, a byte that is random takes nearly all in a thousand tries.
    expect(new Set(all.map((block) => block[byte])).size, `byte ${byte}`).toBeGreaterThan(200);
  }
});
