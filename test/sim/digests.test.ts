/** The digests of a simulation are those of the service. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { SnapshotError } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { makeBytes } from '../harness/bytes.ts';
import { createSimDigests } from './digests.ts';

const bytes = makeBytes(200_001, 3);
const of = (algorithm: string, some: Uint8Array) => createHash(algorithm).update(some).digest('hex');

test('digests resume from a snapshot, in either pool', async () => {
  const algorithms = ['md5', 'sha1', 'sha256'] as const;
  const real = createDigestPool(algorithms);
  const simulated = createSimDigests(algorithms);
  for (const [before, after] of [
    [simulated, real],
    [real, simulated],
  ] as const) {
    const first = before.open(null);
    await first.update([bytes.subarray(0, 77), bytes.subarray(77, 70_000)]);
    const lane = after.open(await first.snapshot());
    lane.beginPart();
    await lane.update([bytes.subarray(70_000)]);
    await lane.updatePart([bytes.subarray(0, 10)]);
    expect(await lane.partMd5()).toBe(of('md5', Buffer.concat([bytes.subarray(70_000), bytes.subarray(0, 10)])));
    const digests = { md5: of('md5', bytes), sha1: of('sha1', bytes), sha256: of('sha256', bytes) };
    expect([await lane.digests(), await lane.digests()]).toEqual([digests, digests]);
    first.close();
    lane.close();
  }
  await real.close();
});

test('lanes side by side do not disturb each other, and a damaged snapshot is refused', async () => {
  const pool = createSimDigests(['md5']);
  const [one, two] = [pool.open(null, ['md5', 'sha256']), pool.open(null)];
  for (let at = 0; at < bytes.length; at += 33_333) {
    await one.update([bytes.subarray(at, at + 33_333)]);
    await two.update([bytes.subarray(0, 5)]);
  }
  expect(await one.digests()).toEqual({ md5: of('md5', bytes), sha256: of('sha256', bytes) });
  expect(await two.digests()).toEqual({ md5: of('md5', Buffer.concat(Array(7).fill(bytes.subarray(0, 5)))) });
  const damaged = pool.open(Buffer.from('no snapshot'));
  await damaged.update([bytes]);
  await expect(damaged.digests()).rejects.toBeInstanceOf(SnapshotError);
});
