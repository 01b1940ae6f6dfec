/** The digest that proves equal bytes, compared with its definition (docs/decisions/0057) in plain arithmetic. */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import type { DigestLane } from '../../stores/digests/digests.ts';
import { NH_BLOCK_BYTES, NH_KEY_BYTES, UNIT_BYTES } from '../../stores/digests/nh-module.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import {
  areComparable,
  beginProof,
  createProofEngine,
  deriveProofKey,
  loadProof,
  PROOF_KEY_BYTES,
  PROOF_SCRATCH_BYTES,
  saveProof,
} from '../../stores/digests/proof.ts';
import { decodeSnapshot, encodeSnapshot } from '../../stores/digests/snapshot.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const SECRET = 'a secret of tests';
const key = deriveProofKey(SECRET);
const WORD = 2n ** 32n;

/** The sums of one block: four passes, each with two sums of 64 bits, little-endian. */
function nh(block: Buffer, words: Uint8Array): Buffer {
  const keys = Buffer.from(words);
  const sums = Buffer.alloc(64);
  for (let pass = 0; pass < 4; pass++) {
    const lanes = [0n, 0n];
    for (let at = 0; at < block.length; at += 32) {
      for (let word = 0; word < 4; word++) {
        const keyed = (offset: number): bigint =>
          BigInt(block.readUInt32LE(at + offset)) + BigInt(keys.readUInt32LE(at + offset + 16 * pass));
        const product = (keyed(word * 4) % WORD) * (keyed(16 + word * 4) % WORD);
        lanes[word % 2] = (lanes[word % 2] ?? 0n) + product;
      }
    }
    lanes.forEach((sum, lane) => sums.writeBigUInt64LE(BigInt.asUintN(64, sum), pass * 16 + lane * 8));
  }
  return sums;
}

function blocksOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / NH_BLOCK_BYTES) }, (_, index) => {
    const block = bytes.subarray(index * NH_BLOCK_BYTES, (index + 1) * NH_BLOCK_BYTES);
    return Buffer.concat([block, Buffer.alloc(-block.length & (UNIT_BYTES - 1))]);
  });
}

function proofOf(bytes: Buffer, { words, chain, id } = key): string {
  const sums = blocksOf(bytes).map((block) => nh(block, words));
  let chained: Uint8Array = chain;
  const sha256 = (...pieces: Uint8Array[]) => createHash('sha256').update(Buffer.concat(pieces)).digest();
  for (const block of blocksOf(Buffer.concat(sums))) chained = sha256(chained, nh(block, words.subarray(NH_KEY_BYTES)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([id, sha256(chained, length).subarray(0, 16)]).toString('hex');
}

test.each([
  { name: 'of every length up to three units', lengths: Array.from({ length: 200 }, (_, length) => length) },
  { name: 'around a block', lengths: [-65, -64, -1, 0, 1, 63, 64, 65].map((more) => NH_BLOCK_BYTES + more) },
  { name: 'around the first block of sums', lengths: [-1, 0, 1].map((more) => NH_BLOCK_BYTES * 256 + more) },
])('an engine computes the definition, $name', ({ lengths }) => {
  const pages = 80;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const room = new Uint8Array(memory.buffer);
  const keyAt = room.length - PROOF_KEY_BYTES;
  room.set(key.words, keyAt);
  const engine = createProofEngine(memory, keyAt - PROOF_SCRATCH_BYTES, { ...key, keyAt });
  const bytes = makeBytes(Math.max(...lengths), 5);
  room.set(bytes);
  for (const length of lengths) {
    const state = beginProof(key);
    const half = Math.floor(length / 3);
    engine.update(state, 0, half);
    const saved = saveProof(key, state);
    engine.update(state, half, length - half);
    expect(engine.digest(state)).toBe(proofOf(bytes.subarray(0, length)));
    expect(engine.digest(state)).toBe(engine.digest(state));
    const again = loadProof(key, saved) ?? beginProof(key);
    engine.update(again, half, length - half);
    expect(saveProof(key, again)).toEqual(saveProof(key, state));
  }
});

test('a damaged state is refused, and one of another key is none', () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const engineOf = (secret: string) => {
    const derived = deriveProofKey(secret);
    new Uint8Array(memory.buffer).set(derived.words, 4096);
    return createProofEngine(memory, 0, { ...derived, keyAt: 4096 });
  };
  const engine = engineOf(SECRET);
  const state = beginProof(key);
  engine.update(state, 1_000, 1_000);
  const saved = saveProof(key, state);
  for (const damaged of [saved.subarray(0, -1), saved.subarray(0, 20), Buffer.concat([saved, saved])]) {
    expect(() => loadProof(key, damaged)).toThrow('the state of the proof is damaged');
  }
  const other = engineOf('another secret');
  expect(loadProof(deriveProofKey('another secret'), saved)).toBeNull();
  expect(areComparable(engine.digest(state), engine.digest(beginProof(key)))).toBe(true);
  expect(areComparable(engine.digest(state), other.digest(beginProof(key)))).toBe(false);
});

test('one bit more or less, a unit that moved, and zeros at the end all count', () => {
  const bytes = makeBytes(NH_BLOCK_BYTES + 500, 6);
  const flipped = Buffer.from(bytes);
  flipped[700] = (flipped[700] ?? 0) ^ 1;
  const moved = Buffer.concat([bytes.subarray(64, 128), bytes.subarray(0, 64), bytes.subarray(128)]);
  const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
  const proofs = [bytes, flipped, moved, longer].map((some) => proofOf(some));
  expect(new Set(proofs).size).toBe(4);
  expect(proofOf(bytes, deriveProofKey('another secret'))).not.toBe(proofs[0]);
});

describe('lanes of a pool', () => {
  const pool = createDigestPool(['md5'], true, SECRET);
  const other = createDigestPool(['md5', 'sha256'], true, SECRET);
  const strange = createDigestPool(['md5'], true, 'another secret');
  const without = createDigestPool(['md5']);
  afterAll(() => Promise.all([pool, other, strange, without].map((one) => one.close())));
  const bytes = makeBytes(1_500_001, 7);
  const expected = { md5: md5(bytes), proof: proofOf(bytes) };

  test.each([10_000, 65_536, 65_537, 800_000])(
    'compute it on both kinds of threads, and resume it: %i bytes first',
    async (first) => {
      const begun = pool.open(null);
      await begun.update([bytes.subarray(0, 77), bytes.subarray(77, first)]);
      const lanes: DigestLane[] = [begun];
      for (const from of [pool, other]) lanes.push(from.open(await begun.snapshot()));
      for (const lane of lanes) {
        lane.beginPart();
        await lane.updatePart([bytes.subarray(0, 1_000)]);
        await lane.update([bytes.subarray(first)]);
        expect(await lane.digests()).toEqual(expected);
        lane.close();
      }
    },
  );

  test('many at once each have their own', async () => {
    const lanes = Array.from({ length: 9 }, (_, index) => ({ lane: pool.open(null), end: 900_000 + index * 1_001 }));
    for (let at = 0; at < 1_000_000; at += 100_000) {
      await Promise.all(
        lanes.map(({ lane, end }) => lane.update([bytes.subarray(at, Math.max(at, Math.min(end, at + 100_000)))])),
      );
    }
    for (const { lane, end } of lanes) {
      expect((await lane.digests()).proof).toBe(proofOf(bytes.subarray(0, end)));
      lane.close();
    }
  });

  test('a snapshot of before, or of another key, is resumed without a proof', async () => {
    for (const from of [without, strange]) {
      const begun = from.open(null);
      await begun.update([bytes.subarray(0, 100_000)]);
      const lane = pool.open(await begun.snapshot());
      await lane.update([bytes.subarray(100_000)]);
      expect(await lane.digests()).toEqual({ md5: expected.md5 });
      expect([...decodeSnapshot(await lane.snapshot()).keys()]).toEqual(['md5']);
      begun.close();
      lane.close();
    }
  });

  test('without a key a snapshot is resumed without its proof, and chosen algorithms have none', async () => {
    const begun = pool.open(null);
    await begun.update([bytes]);
    const lanes = [without.open(await begun.snapshot()), pool.open(null, ['md5'])];
    await lanes[1]?.update([bytes]);
    for (const lane of lanes) expect(await lane.digests()).toEqual({ md5: expected.md5 });
    for (const lane of [begun, ...lanes]) lane.close();
  });

  test('a snapshot with a damaged proof cannot be resumed', async () => {
    const begun = pool.open(null);
    await begun.update([bytes]);
    const states = decodeSnapshot(await begun.snapshot());
    states.set('proof', (states.get('proof') ?? new Uint8Array(0)).subarray(0, -1));
    const lane = pool.open(encodeSnapshot(states));
    await expect(lane.digests()).rejects.toThrow('the state of the proof is damaged');
    begun.close();
  });
});
