/** MD5 of many uploads side by side, compared with that of node:crypto. */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import type { DigestLane } from '../../stores/digests/digests.ts';
import { isSimdThere, MOST_CHAINS } from '../../stores/digests/md5-lanes-module.ts';
import { beginMd5, createMd5Engine, loadMd5, type Md5State, saveMd5, SCRATCH_BYTES } from '../../stores/digests/md5.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const PAGE_BYTES = 65_536;
const DATA_PAGES = 16;

/** Whole numbers below a bound, the same for the same seed (xorshift32). */
function makeChooser(seed: number): (bound: number) => number {
  let state = (seed * 2_654_435_761) | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

test('WebAssembly has SIMD here', () => {
  expect(isSimdThere()).toBe(true);
});

describe.each([{ simd: true }, { simd: false }])('side by side in one thread, SIMD: $simd', ({ simd }) => {
  const pages = DATA_PAGES + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const data = makeBytes(DATA_PAGES * PAGE_BYTES, 1);
  new Uint8Array(memory.buffer).set(data);
  const engines = [0, 1].map((which) => createMd5Engine(memory, DATA_PAGES * PAGE_BYTES + which * SCRATCH_BYTES, simd));

  test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    '%i states of random bytes, cut at random, moved to another engine now and then',
    (count) => {
      const choose = makeChooser(count);
      const states = Array.from({ length: count }, () => ({ md5: beginMd5(), hash: createHash('md5') }));
      for (let turn = 0; turn < 12; turn++) {
        // Lengths around one block, and long ones; not every state has a turn.
        const taking = states.filter(() => choose(8) > 0);
        const bytes = taking.map(({ md5: state, hash }) => {
          const length = choose(choose(3) === 0 ? 200 : 40_000);
          const from = choose(data.length - length);
          hash.update(data.subarray(from, from + length));
          return { state, from, length };
        });
        engines[turn % 2]?.update(bytes);
        for (const each of states) if (choose(3) === 0) each.md5 = loadMd5(saveMd5(each.md5));
      }
      for (const { md5: state, hash } of states) expect(engines[0]?.digest(state)).toBe(hash.digest('hex'));
    },
  );

  test.each(Array.from({ length: MOST_CHAINS + 1 }, (_, index) => index + 1))(
    '%i states of the same number of blocks, at every distance from the start of a block',
    (count) => {
      const states: Md5State[] = Array.from({ length: count }, beginMd5);
      states.forEach((state, index) => engines[0]?.update([{ state, from: index * 100, length: index * 5 }]));
      engines[0]?.update(states.map((state, index) => ({ state, from: index * 105, length: 64 * 9 })));
      states.forEach((state, index) => {
        const first = data.subarray(index * 100, index * 105);
        const second = data.subarray(index * 105, index * 105 + 64 * 9);
        expect(engines[0]?.digest(state)).toBe(md5(Buffer.concat([first, second])));
      });
    },
  );
});

describe.each([{ simd: true }, { simd: false }])('lanes of a pool, SIMD: $simd', ({ simd }) => {
  const pool = createDigestPool(['md5'], simd);
  const other = createDigestPool(['md5', 'sha256'], simd);
  afterAll(() => Promise.all([pool.close(), other.close()]));
  const data = makeBytes(3_000_000, 3);

  /** Sends random bytes, cut at random, resumes in another lane of either pool now and then, and has parts. */
  async function run(seed: number): Promise<void> {
    const choose = makeChooser(seed);
    const hash = createHash('md5');
    let part = createHash('md5');
    let lane: DigestLane = pool.open(null);
    lane.beginPart();
    for (let turn = 0; turn < 8; turn++) {
      const chunks = Array.from({ length: 1 + choose(4) }, () => {
        const length = 1 + choose(choose(4) === 0 ? 600_000 : 70_000);
        const from = choose(data.length - length);
        return data.subarray(from, from + length);
      });
      for (const chunk of chunks) {
        hash.update(chunk);
        part.update(chunk);
      }
      await lane.update(chunks);
      if (choose(3) === 0) {
        const saved = lane.snapshot();
        expect((await lane.digests()).md5).toBe(hash.copy().digest('hex'));
        expect(await lane.partMd5()).toBe(part.copy().digest('hex'));
        // Bytes that come after the question are not in its answer.
        if (choose(2) === 0) await lane.update([data.subarray(0, 1_000)]);
        lane.close();
        lane = (choose(2) === 0 ? pool : other).open(await saved);
        part = createHash('md5');
        lane.beginPart();
      }
    }
    expect((await lane.digests()).md5).toBe(hash.digest('hex'));
    expect(await lane.partMd5()).toBe(part.digest('hex'));
    lane.close();
  }

  test.each([1, 2, 3, 5, 9, 20])('%i uploads at once, each cut and resumed at random', async (count) => {
    await Promise.all(Array.from({ length: count }, (_, index) => run(count * 100 + index)));
  });
});
