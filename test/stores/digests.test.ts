import { createHash } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { SnapshotError } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { decodeSnapshot } from '../../stores/digests/snapshot.ts';
import { makeBytes, md5 } from '../support/bytes.ts';

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

test('goes on from a snapshot, in another pool too', async () => {
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

test('refuses a damaged snapshot and one of another library version', async () => {
  const lane = pool.open(null);
  const snapshot = await lane.snapshot();
  lane.close();
  expect(() => decodeSnapshot(snapshot.slice(0, -1))).toThrow(SnapshotError);
  expect(() => decodeSnapshot(Uint8Array.of(9))).toThrow(SnapshotError);

  const foreign = Uint8Array.from(snapshot);
  // The first bytes of a state say which build of hash-wasm it belongs to.
  foreign[4] = (foreign[4] ?? 0) ^ 0xff;
  const taken = pool.open(foreign);
  await taken.update([Buffer.from('abc')]);
  await expect(taken.snapshot()).rejects.toThrow(SnapshotError);
  taken.close();
});
