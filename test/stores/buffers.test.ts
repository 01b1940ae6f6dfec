/** The memory for parts: bounded, given in order, used again, and never waited for by an upload that is to end. */
import { expect, test } from 'vitest';
import { createBufferPool } from '../../stores/s3/buffers.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;

test('grants room in order as memory is returned, and reuses that memory', async () => {
  const pool = createBufferPool(3 * MIB);
  const first = await pool.reserve(2 * MIB, false, never);
  let order = '';
  const large = pool.reserve(2 * MIB, false, never).then((room) => ((order += 'large '), room));
  const small = pool.reserve(MIB, false, never).then((room) => ((order += 'small '), room));
  first.release();
  first.release();
  const again = await large;
  expect(again.bytes === first.bytes).toBe(true);
  await small;
  expect(order).toBe('large small ');
});

test('does not use memory again that a failed call may still be reading', async () => {
  const pool = createBufferPool(4 * MIB);
  const first = await pool.reserve(2 * MIB, false, never);
  first.spoil();
  first.release();
  const second = await pool.reserve(2 * MIB, false, never);
  expect(second.bytes === first.bytes).toBe(false);
});

test('an upload that is ended while it waits gets room at once, beyond what there is', async () => {
  const pool = createBufferPool(2 * MIB);
  const held = await pool.reserve(2 * MIB, false, never);
  const ending = new AbortController();
  const waiting = pool.reserve(2 * MIB, false, ending.signal);
  ending.abort();
  const extra = await waiting;
  const ended = await pool.reserve(2 * MIB, false, ending.signal);
  for (const room of [extra, ended, held]) room.release();
  expect((await pool.reserve(2 * MIB, false, never)).bytes).toHaveLength(2 * MIB);
});

test('a part that is larger than all the memory gets it when nobody else has any', async () => {
  const pool = createBufferPool(2 * MIB);
  const first = await pool.reserve(MIB, false, never);
  const waiting = pool.reserve(5 * MIB, false, never);
  first.release();
  const large = await waiting;
  expect(large.bytes).toHaveLength(5 * MIB);
  const next = pool.reserve(MIB, false, never);
  large.release();
  expect((await next).bytes).toHaveLength(MIB);
});
