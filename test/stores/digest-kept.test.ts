/** Bytes that are hashed and stored from the same memory. */
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { createBlocks } from '../../stores/digests/blocks.ts';
import type { DigestLane } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openThreadLane } from '../../stores/digests/thread-lane.ts';
import { createThreads } from '../../stores/digests/threads.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const MIB = 1024 * 1024;

/** Lanes on a thread, and its blocks. */
function openThread() {
  const blocks = createBlocks();
  const threads = createThreads(blocks, { simd: true, proof: null, lanesPerThread: 100 });
  onTestFinished(() => threads.close());
  const open = (): DigestLane => openThreadLane(threads.pick(), blocks, { from: ['md5'] });
  /** Takes all blocks that are free, and gives them back. @returns how many. */
  const free = (): number => {
    const taken: number[] = [];
    for (let block = blocks.tryTake(); block !== undefined; block = blocks.tryTake()) taken.push(block);
    taken.forEach(blocks.giveBack);
    return taken.length;
  };
  return { open, free, all: free() };
}

/** Has a digest keep all bytes, and copies them as a store would: a little later. @returns the copies in order. */
async function storeAll(lane: DigestLane, bytes: Uint8Array, pieceBytes: number): Promise<Buffer> {
  const stored: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const kept = await lane.keep([bytes.subarray(at, at + pieceBytes)]);
    await new Promise((resolve) => setImmediate(resolve));
    stored.push(Buffer.concat(kept.bytes));
    kept.release();
    at += kept.length;
  }
  return Buffer.concat(stored);
}

test('what is kept stays as it is until it is released, whatever other digests get', async () => {
  const { open, free, all } = openThread();
  const [lane, other] = [open(), open()];
  const bytes = makeBytes(MIB, 1);
  const kept = await lane.keep([bytes.subarray(0, 300_000), bytes.subarray(300_000)]);
  expect(kept).toMatchObject({ areCopies: true, length: MIB });
  expect((await lane.digests()).md5).toBe(md5(bytes));
  // More than all blocks hold, several times.
  const many = makeBytes(32 * MIB, 2);
  await other.update([many]);
  expect((await other.digests()).md5).toBe(md5(many));
  expect(Buffer.concat(kept.bytes).equals(bytes)).toBe(true);
  lane.close();
  other.close();
  expect(free()).toBeLessThan(all);
  kept.release();
  await expect.poll(free).toBe(all);
});

test('digests that keep more than there are blocks do not wait for each other', { timeout: 60_000 }, async () => {
  const pool = createDigestPool(['md5']);
  onTestFinished(() => pool.close());
  const files = Array.from({ length: 40 }, (_, index) => makeBytes(2 * MIB + index, index + 1));
  const stored = await Promise.all(
    files.map(async (bytes) => {
      const lane = pool.open(null);
      const copy = await storeAll(lane, bytes, MIB + 1);
      const digests = await lane.digests();
      lane.close();
      return { md5: digests.md5, copy: md5(copy) };
    }),
  );
  expect(stored).toEqual(files.map((bytes) => ({ md5: md5(bytes), copy: md5(bytes) })));
});

test('few bytes are hashed where they are, and kept without a copy', async () => {
  const pool = createDigestPool(['md5']);
  onTestFinished(() => pool.close());
  const lane = pool.open(null);
  const bytes = makeBytes(1_000, 3);
  const kept = await lane.keep([bytes]);
  expect(kept).toMatchObject({ areCopies: false, length: 1_000 });
  expect(kept.bytes[0]).toBe(bytes);
  kept.release();
  expect((await lane.digests()).md5).toBe(md5(bytes));
  lane.close();
});

test('a block that is kept while its thread dies becomes free once, when it is released', async () => {
  let worker: Worker | undefined;
  const note = (started: Worker): void => void (worker = started);
  process.on('worker', note);
  const { open, free, all } = openThread();
  const lane = open();
  const kept = await lane.keep([makeBytes(MIB, 4)]);
  await lane.digests();
  process.off('worker', note);
  await worker?.terminate();
  await expect(lane.keep([makeBytes(10, 5)])).rejects.toThrow('a digest worker ended');
  expect(free()).toBeLessThan(all);
  kept.release();
  expect(free()).toBe(all);
  lane.close();
  expect(free()).toBe(all);
});
