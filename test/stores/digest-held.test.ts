/** Which bytes wait on the main thread to be hashed side by side, and that nothing waits for them. */
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createBlocks } from '../../stores/digests/blocks.ts';
import { createHashing } from '../../stores/digests/hashing.ts';
import { createHeld } from '../../stores/digests/held.ts';
import { BLOCK_BYTES, type Request } from '../../stores/digests/messages.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { createRounds } from '../../stores/digests/rounds.ts';
import { openThreadLane } from '../../stores/digests/thread-lane.ts';
import { createThreads } from '../../stores/digests/threads.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const chunk = makeBytes(64 * KIB, 1);

/** A turn of the event loop, after which all that is due has been sent. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('what is held', () => {
  function hold() {
    const blocks = createBlocks();
    const held = createHeld(blocks);
    const add = (lane: number, bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length;) {
        const copy = held.append(lane, 'all', bytes, at);
        at += copy?.length ?? 0;
        if (!copy) held.addBlock(lane, 'all', blocks.tryTake() ?? NaN);
      }
    };
    return { blocks, held, add };
  }

  test('bytes of the only lane go at once', () => {
    const { held, add } = hold();
    expect(held.isDue(1)).toBe(false);
    add(1, chunk.subarray(0, 1));
    expect(held.isDue(1)).toBe(true);
    expect(held.takeAll()).toEqual([{ op: 'update', lane: 1, to: 'all', pieces: [{ block: 31, length: 1 }] }]);
    expect(held.isDue(1)).toBe(false);
  });

  test('bytes of many lanes go once each has some, 64 KiB on average', () => {
    const { held, add } = hold();
    add(1, makeBytes(100 * KIB));
    add(2, makeBytes(64 * KIB));
    expect(held.isDue(3)).toBe(false);
    add(3, makeBytes(28 * KIB - 1));
    expect(held.isDue(3)).toBe(false);
    add(3, makeBytes(1));
    expect(held.isDue(3)).toBe(true);
  });

  test('bytes of a few lanes go once they have many blocks, or no block is left', () => {
    const fast = hold();
    fast.add(1, makeBytes(3 * BLOCK_BYTES));
    expect(fast.held.isDue(64)).toBe(false);
    fast.add(1, makeBytes(1));
    expect(fast.held.isDue(64)).toBe(true);

    const slow = hold();
    for (let lane = 0; lane < 11; lane++) slow.add(lane, makeBytes(1));
    expect(slow.held.isDue(64)).toBe(false);
    for (let lane = 0; lane < 5; lane++) slow.add(lane, makeBytes(BLOCK_BYTES));
    expect(slow.held.isDue(64)).toBe(true);

    const short = hold();
    short.add(1, makeBytes(1));
    expect(short.held.isDue(64)).toBe(false);
    while (short.blocks.tryTake() !== undefined);
    expect(short.held.isDue(64)).toBe(true);
  });

  test('a lane that is closed leaves nothing, unless it is asked for something', () => {
    const { held, add } = hold();
    for (const lane of [1, 2]) held.push({ op: 'open', lane, from: ['md5'] });
    for (const lane of [1, 2, 3]) add(lane, chunk);
    held.push({ op: 'snapshot', lane: 2, request: 7 });
    expect(held.close(1)).toEqual([31]);
    expect(held.close(2)).toEqual([]);
    expect(held.close(3)).toEqual([29]);
    expect(held.takeAll().map(({ op, lane }) => `${op} ${lane}`)).toEqual([
      'open 2',
      'update 2',
      'snapshot 2',
      'close 2',
      'close 3',
    ]);
  });
});

describe('lanes of a pool', () => {
  const pool = createDigestPool(['md5']);
  /** The messages to the pool's thread. */
  const messages: Request[][] = [];
  function listen(worker: Worker): void {
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (message: Request[]) => {
      messages.push(structuredClone(message));
      post(message);
    };
  }
  beforeAll(() => void process.on('worker', listen));
  afterAll(async () => {
    process.off('worker', listen);
    await pool.close();
  });
  /** Opens a lane that has moved to the thread, with its first bytes. */
  async function begin() {
    const lane = pool.open(null);
    await lane.update([chunk, chunk]);
    return lane;
  }
  const first = Buffer.concat([chunk, chunk]);

  test('one message has bytes of eight uploads, and those of one go right away', async () => {
    const lanes = await Promise.all(Array.from({ length: 8 }, begin));
    for (const lane of lanes) await lane.snapshot();
    messages.length = 0;
    for (const lane of lanes) {
      expect(messages).toEqual([]);
      await lane.update([chunk]);
      await turn();
    }
    expect(messages).toHaveLength(1);
    expect(messages[0]?.map(({ op }) => op)).toEqual(lanes.map(() => 'update'));
    const [alone, ...others] = lanes;
    for (const lane of others) lane.close();
    messages.length = 0;
    await alone?.update([chunk]);
    await turn();
    expect(messages).toHaveLength(1);
    expect((await alone?.digests())?.md5).toBe(md5(Buffer.concat([first, chunk, chunk])));
    alone?.close();
  });

  test('an upload ends while others that have sent bytes stand still', async () => {
    const still = await Promise.all(Array.from({ length: 40 }, begin));
    const bytes = makeBytes(20 * MIB, 2);
    const lane = pool.open(null);
    await lane.update([bytes]);
    expect((await lane.digests()).md5).toBe(md5(bytes));
    lane.close();
    for (const each of still) expect((await each.digests()).md5).toBe(md5(first));
    for (const each of still) each.close();
  });

  test('uploads that break off leave neither blocks nor requests', async () => {
    const still = await begin();
    await still.snapshot();
    messages.length = 0;
    for (let i = 0; i < 100; i++) (await begin()).close();
    await turn();
    expect(messages).toEqual([]);
    expect((await still.digests()).md5).toBe(md5(first));
    expect(messages.flat().map(({ op }) => op)).toEqual(['digests']);
    const bytes = makeBytes(10 * MIB, 3);
    const lane = pool.open(null);
    await lane.update([bytes]);
    expect((await lane.digests()).md5).toBe(md5(bytes));
    for (const each of [lane, still]) each.close();
  });
});

test('a lane of which something is asked goes first', () => {
  const { memory, append, scratchOf } = createBlocks();
  const rounds = createRounds(createHashing(memory, scratchOf(0), () => undefined, { simd: true }));
  for (let lane = 0; lane < 20; lane++) {
    const piece = { block: lane, length: 0 };
    append(piece, chunk, 0);
    rounds.add([
      { op: 'open', lane, from: ['md5'] },
      { op: 'update', lane, pieces: [piece], to: 'all' },
    ]);
  }
  rounds.add([{ op: 'digests', lane: 19, request: 1 }]);
  const replies = rounds.run();
  expect(replies).toContainEqual({ op: 'digests', request: 1, digests: { md5: md5(chunk) } });
  expect(replies.filter(({ op }) => op === 'free')).toHaveLength(12);
  expect(rounds.isIdle).toBe(false);
  expect(rounds.run().filter(({ op }) => op === 'free')).toHaveLength(8);
  expect(rounds.isIdle).toBe(true);
});

test('bytes held for all threads are sent when somebody needs a block', async () => {
  const blocks = createBlocks();
  const threads = createThreads(blocks, { simd: true, lanesPerThread: 6, mostThreads: 3 });
  const lanes = Array.from({ length: 13 }, () => openThreadLane(threads.pick(), blocks, { from: ['md5'] }));
  const last = lanes.pop();
  const some = makeBytes(3 * BLOCK_BYTES, 4);
  for (const [index, lane] of lanes.entries()) if (index % 6 > 0) await lane.update([some]);
  await turn();
  const bytes = makeBytes(10 * MIB, 5);
  await last?.update([bytes]);
  expect((await last?.digests())?.md5).toBe(md5(bytes));
  let free = 0;
  await vi.waitUntil(() => {
    while (blocks.tryTake() !== undefined) free++;
    return free === 32;
  });
  expect((await lanes[1]?.digests())?.md5).toBe(md5(some));
  for (const lane of lanes) lane.close();
  await threads.close();
});

test('threads are filled one after the other, then evenly', async () => {
  const threads = createThreads(createBlocks(), { simd: true, lanesPerThread: 3, mostThreads: 2 });
  const picked = Array.from({ length: 8 }, () => {
    const thread = threads.pick();
    thread.enter(() => undefined);
    return thread;
  });
  const [one, , , two] = picked;
  expect(two).not.toBe(one);
  expect(picked.map((thread) => (thread === one ? 1 : thread === two ? 2 : 3))).toEqual([1, 1, 1, 2, 2, 2, 1, 2]);
  await threads.close();
});
