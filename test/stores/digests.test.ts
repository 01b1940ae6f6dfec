import { createHash } from 'node:crypto';
import type { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { type DigestAlgorithm, SnapshotError } from '../../stores/digests/digests.ts';
import { loadHashers } from '../../stores/digests/shared-hashers.ts';
import { createHere } from '../../stores/digests/here.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { beginMd5, createMd5Engine, loadMd5, saveMd5 } from '../../stores/digests/md5.ts';
import { decodeSnapshot, type DigestStates, encodeSnapshot } from '../../stores/digests/snapshot.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const pool = createDigestPool(['md5', 'sha1', 'sha256']);
afterAll(() => pool.close());

test('computes what node:crypto computes, in pieces of any size', async () => {
  const bytes = makeBytes(3_000_001, 1);
  const lane = pool.open(null);
  for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7 + 1) % 700_001) {
    await lane.update([bytes.subarray(at, at + step)]);
  }
  const expected = Object.fromEntries(
    ['md5', 'sha1', 'sha256'].map((name) => [name, createHash(name).update(bytes).digest('hex')]),
  );
  expect(await lane.digests()).toEqual(expected);
  expect(await lane.digests()).toEqual(expected);
  lane.close();
});

test('resumes from a snapshot, in another pool too', async () => {
  const bytes = makeBytes(1_000_000, 2);
  const first = pool.open(null);
  await first.update([bytes.subarray(0, 333_333)]);
  const snapshot = await first.snapshot();
  first.close();

  const other = createDigestPool(['md5']);
  const second = other.open(snapshot);
  await second.update([bytes.subarray(333_333)]);
  const { sha256, ...rest } = await second.digests();
  expect(rest.md5).toBe(md5(bytes));
  expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  await other.close();
});

test('keeps a thousand interleaved digests apart', async () => {
  const lanes = Array.from({ length: 1000 }, (_, i) => ({ bytes: makeBytes(5_000, i + 1), lane: pool.open(null) }));
  for (let at = 0; at < 5_000; at += 1_000) {
    await Promise.all(lanes.map(({ bytes, lane }) => lane.update([bytes.subarray(at, at + 1_000)])));
  }
  const digests = await Promise.all(lanes.map(({ lane }) => lane.digests()));
  expect(digests.map((digest) => digest.md5)).toEqual(lanes.map(({ bytes }) => md5(bytes)));
  for (const { lane } of lanes) lane.close();
});

test('computes only what is asked for', async () => {
  const lane = pool.open(null, ['sha256']);
  await lane.update([Buffer.from('abc')]);
  expect(Object.keys(await lane.digests())).toEqual(['sha256']);
  lane.close();
});

test('computes the MD5 of parts beside that of the whole', async () => {
  const bytes = makeBytes(500_000, 3);
  const lane = pool.open(null);
  // The second begins in the middle of a block, so that the two do not go in step.
  const bounds = [0, 64 * 1000, 200_001, bytes.length];
  for (const [index, end] of bounds.entries()) {
    const start = bounds[index - 1] ?? 0;
    lane.beginPart();
    const half = start + Math.floor((end - start) / 3);
    await lane.update([bytes.subarray(start, half), bytes.subarray(half, end)]);
    expect(await lane.partMd5()).toBe(md5(bytes.subarray(start, end)));
  }
  expect((await lane.digests()).md5).toBe(md5(bytes));
  lane.close();
});

test('hashes bytes again for a part alone, and continues with both', async () => {
  const bytes = makeBytes(300_000, 4);
  const first = pool.open(null);
  await first.update([bytes.subarray(0, 100_003)]);
  const lane = pool.open(await first.snapshot());
  first.close();
  lane.beginPart();
  await lane.updatePart([bytes.subarray(64_000, 100_003)]);
  await lane.update([bytes.subarray(100_003)]);
  expect(await lane.partMd5()).toBe(md5(bytes.subarray(64_000)));
  expect((await lane.digests()).md5).toBe(md5(bytes));
  lane.close();
});

test.each([
  { algorithms: ['md5'], first: 65_536 },
  { algorithms: ['md5'], first: 65_537 },
  { algorithms: ['md5', 'sha256'], first: 21_845 },
  { algorithms: ['md5', 'sha256'], first: 21_846 },
] as const)(
  'hashes few bytes where they are, and all the same what comes after: $first bytes first, by $algorithms',
  async ({ algorithms, first }) => {
    const own = createDigestPool(algorithms);
    // Begun after those of the pool, which are loaded by then.
    await loadHashers();
    const bytes = makeBytes(400_000, 6);
    const lane = own.open(null);
    await lane.update([bytes.subarray(0, 10_001), bytes.subarray(10_001, first - 7)]);
    lane.beginPart();
    await lane.update([bytes.subarray(first - 7, first)]);
    const snapshot = await lane.snapshot();
    expect((await lane.digests()).md5).toBe(md5(bytes.subarray(0, first)));
    await lane.update([bytes.subarray(first)]);
    expect(await lane.partMd5()).toBe(md5(bytes.subarray(first - 7)));
    const expected = Object.fromEntries(algorithms.map((name) => [name, createHash(name).update(bytes).digest('hex')]));
    expect(await lane.digests()).toEqual(expected);
    lane.close();

    // What was saved here is resumed like what a thread saves.
    const again = own.open(snapshot);
    await again.update([bytes.subarray(first)]);
    expect(await again.digests()).toEqual(expected);
    const once = own.open(await again.snapshot());
    expect(await once.digests()).toEqual(expected);
    for (const other of [again, once]) other.close();
    await own.close();
  },
);

test.each([
  { algorithms: ['md5'], most: 65_536 },
  { algorithms: ['md5', 'sha1'], most: 32_768 },
  { algorithms: ['md5', 'sha1', 'sha256'], most: 16_384 },
] as const)('hashes $most bytes where they are by $algorithms', async ({ algorithms, most }) => {
  const here = createHere(algorithms);
  const digest = await vi.waitUntil(() => here.open({ from: algorithms }));
  expect(here.mostBytes(digest)).toBe(most);
  const again = await vi.waitUntil(() => here.open({ from: here.hashing.snapshot(digest) }));
  expect(here.mostBytes(again)).toBe(most);
});

test.each([
  { broken: 'MD5', states: { md5: Uint8Array.of(1, 2, 3) } },
  { broken: 'SHA-1', states: { sha1: new Uint8Array(64) } },
] as const)('a snapshot whose $broken state is damaged takes nothing from a digest under way', async ({ states }) => {
  const here = createHere(['md5', 'sha1']);
  const bytes = makeBytes(3_000, 8);
  const digest = await vi.waitUntil(() => here.open({ from: ['md5', 'sha1'] }));
  here.update(digest, [bytes.subarray(0, 1_000)], 'all');
  const damaged: DigestStates = new Map([
    ...decodeSnapshot(here.hashing.snapshot(digest)),
    ...(Object.entries(states) as [DigestAlgorithm, Uint8Array][]),
  ]);
  here.update(digest, [bytes.subarray(1_000, 2_000)], 'all');
  expect(() => here.open({ from: encodeSnapshot(damaged) })).toThrow(SnapshotError);
  here.update(digest, [bytes.subarray(2_000)], 'all');
  const expected = { md5: md5(bytes), sha1: createHash('sha1').update(bytes).digest('hex') };
  expect(here.hashing.digests(digest)).toEqual(expected);
});

test('a SHA-256 state that cannot be finished is a damaged snapshot, and takes nothing from a digest under way', async () => {
  const here = createHere(['md5', 'sha256']);
  const bytes = makeBytes(3_000, 8);
  const digest = await vi.waitUntil(() => here.open({ from: ['md5', 'sha256'] }));
  here.update(digest, [bytes.subarray(0, 1_000)], 'all');
  const damaged = decodeSnapshot(here.hashing.snapshot(digest));
  // The digest's length, a number of four bytes: beyond all memory.
  damaged.get('sha256')?.fill(0xff, 108, 112);
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(() => here.open({ from: encodeSnapshot(damaged) })).toThrow(SnapshotError);
  }
  here.update(digest, [bytes.subarray(1_000)], 'all');
  const expected = { md5: md5(bytes), sha256: createHash('sha256').update(bytes).digest('hex') };
  expect(here.hashing.digests(digest)).toEqual(expected);
});

test('starts no thread for few bytes', async () => {
  const own = createDigestPool(['md5']);
  let started = 0;
  const count = (): void => void started++;
  process.on('worker', count);
  for (const [length, expected] of [
    [65_536, 0],
    [65_537, 1],
  ] as const) {
    const lane = own.open(null);
    await lane.update([makeBytes(length, 7)]);
    await lane.digests();
    lane.close();
    expect(started).toBe(expected);
  }
  process.off('worker', count);
  await own.close();
});

test('a thread that dies tells its lanes why, returns their blocks, and the next lane gets another thread', async () => {
  const own = createDigestPool(['md5']);
  const kill = (worker: Worker): void => void worker.terminate();
  process.on('worker', kill);
  const bytes = makeBytes(9 * 1024 * 1024, 10);
  // More blocks than one lane may have in flight, of as many lanes as use up all blocks there are.
  const lanes = Array.from({ length: 3 }, () => own.open(null));
  const updates = await Promise.allSettled(lanes.map((lane) => lane.update([bytes])));
  process.off('worker', kill);
  const dead = 'a digest worker ended';
  expect(updates.map((update) => update.status)).toEqual(lanes.map(() => 'rejected'));
  for (const lane of lanes) {
    for (const ask of [lane.snapshot, lane.digests, lane.partMd5]) await expect(ask()).rejects.toThrow(dead);
    await expect(lane.update([bytes])).rejects.toThrow(dead);
    lane.close();
  }
  const next = own.open(null);
  await next.update([bytes]);
  expect((await next.digests()).md5).toBe(md5(bytes));
  next.close();
  await own.close();
});

test('a lane that no thread takes rejects every later call', async () => {
  const own = createDigestPool(['md5']);
  const lane = own.open(null);
  await lane.update([makeBytes(10, 8)]);
  await own.close();
  const closed = 'the digest pool is closed';
  for (let i = 0; i < 2; i++) await expect(lane.update([makeBytes(65_537, 9)])).rejects.toThrow(closed);
  expect(() => lane.beginPart()).toThrow(closed);
  await expect(lane.updatePart([makeBytes(10, 8)])).rejects.toThrow(closed);
  for (const ask of [lane.snapshot, lane.digests, lane.partMd5]) await expect(ask()).rejects.toThrow(closed);
  lane.close();
});

test('refuses a damaged snapshot and one of another library version', async () => {
  const lane = pool.open(null);
  const snapshot = await lane.snapshot();
  lane.close();
  expect(() => decodeSnapshot(snapshot.slice(0, -1))).toThrow(SnapshotError);
  expect(() => decodeSnapshot(Uint8Array.of(9))).toThrow(SnapshotError);

  // An MD5 state that is longer than it says, and an SHA-1 state of another build of hash-wasm,
  // which its first bytes tell.
  for (const [number, at] of [0, 1].map((algorithm) => [algorithm, stateOf(snapshot, algorithm)] as const)) {
    const foreign = Uint8Array.from(snapshot);
    const changed = number === 0 ? at + 16 : at;
    foreign[changed] = (foreign[changed] ?? 0) ^ 0xff;
    const taken = pool.open(foreign);
    await taken.update([Buffer.from('abc')]);
    await expect(taken.snapshot()).rejects.toThrow(SnapshotError);
    taken.close();
  }
});

/** Where the state of an algorithm begins in a snapshot. */
function stateOf(snapshot: Uint8Array, algorithm: number): number {
  for (let at = 1; at < snapshot.length; at += 3 + (((snapshot[at + 1] ?? 0) << 8) | (snapshot[at + 2] ?? 0))) {
    if (snapshot[at] === algorithm) return at + 3;
  }
  throw new Error('it has none');
}

describe('MD5', () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const engine = createMd5Engine(memory, 65_536);

  test.each([
    // RFC 1321, appendix A.5
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['12345678901234567890'.repeat(4), '57edf4a22be3c955ac49da2e2107b67a'],
  ])('of %j', (text, expected) => {
    const state = beginMd5();
    bytes.set(Buffer.from(text), 7);
    engine.update([{ state, from: 7, length: text.length }]);
    expect(engine.digest(state)).toBe(expected);
  });

  test('of every length, saved and resumed at every byte, alone and two at once', () => {
    const data = makeBytes(300, 5);
    bytes.set(data);
    for (let length = 0; length <= data.length; length++) {
      const cut = (length * 7) % (length + 1);
      let state = beginMd5();
      engine.update([{ state, from: 0, length: cut }]);
      state = loadMd5(saveMd5(state));
      const beside = beginMd5();
      engine.update([state, beside].map((each) => ({ state: each, from: cut, length: length - cut })));
      expect(engine.digest(state)).toBe(md5(data.subarray(0, length)));
      expect(engine.digest(beside)).toBe(md5(data.subarray(cut, length)));
    }
  });

  test('of more bytes than 32 bits count', async () => {
    const state = beginMd5();
    const hash = createHash('md5');
    const data = makeBytes(65_536, 6);
    bytes.set(data);
    for (let at = 0; at <= 2 ** 29; at += data.length) {
      engine.update([{ state, from: 0, length: data.length }]);
      hash.update(data);
    }
    expect(engine.digest(state)).toBe(hash.digest('hex'));
  });
});
