/** Measures the time from the last byte to the answer, which must not grow with the file's size: for new bytes, and for bytes that are here. */
import { randomBytes, randomUUID } from 'node:crypto';
import { CEPH_MISSING } from '../../test/harness/rgw.ts';
import { withRgw } from './bucket.ts';
import { sendFile } from './load.ts';
import { median, printTable } from './table.ts';
import { bucketEnv, startTidemark, type Target } from './targets.ts';

const MIB = 1024 * 1024;
/** The first is the base of the ratios. */
const SIZES = [1, 100, 1024] as const;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
/** The wait before the last byte: long enough for all other bytes to arrive, so that it is sent alone. */
const PAUSE_MS = 500;

/** New bytes, or a duplicate of bytes that are stored already. */
type Kind = 'new' | 'duplicate';

interface Measured {
  kind: Kind;
  size: number;
  aloneMs: number[];
  streamedMs: number[];
}

/** Runs the measurement. */
export async function benchLastByte(folder: string): Promise<void> {
  await withTidemark(folder, {}, async (target) => {
    report('On the disk', await measureLastByte(target, ['new', 'duplicate']));
  });
  if (CEPH_MISSING !== undefined) process.stdout.write(`skipped, in a bucket: ${CEPH_MISSING}\n`);
  else {
    // New bytes of this number would fill the disk of this Ceph.
    await withBucketTidemark(folder, async (target) => {
      report('In a bucket', await measureLastByte(target, ['duplicate']));
    });
  }
}

/** Starts a service on the disk. */
export async function withTidemark(
  folder: string,
  env: NodeJS.ProcessEnv,
  use: (target: Target) => Promise<void>,
): Promise<void> {
  const target = await startTidemark(folder, env);
  try {
    await use(target);
  } finally {
    await target.stop();
  }
}

/** Starts a service on a new Ceph. */
export function withBucketTidemark(folder: string, use: (target: Target) => Promise<void>): Promise<void> {
  return withRgw((rgw) =>
    withTidemark(folder, { STORE: 'ceph', ...bucketEnv(rgw, rgw.port), S3_PREFIX: `${randomUUID()}/` }, use),
  );
}

/** Sends files of each size and kind, in turns. */
export async function measureLastByte(target: Target, kinds: readonly Kind[], rounds = ROUNDS): Promise<Measured[]> {
  // Of all duplicates of one size; the first is new.
  const head = randomBytes(16);
  const all = kinds.flatMap((kind) => SIZES.map((size): Measured => ({ kind, size, aloneMs: [], streamedMs: [] })));
  await sendFile(target, MIB);
  for (const { kind, size } of all) if (kind === 'duplicate') await sendFile(target, size * MIB, { head });
  for (let round = 0; round < rounds; round++) {
    for (const { kind, size, aloneMs, streamedMs } of all) {
      const options = kind === 'duplicate' ? { head } : {};
      const alone = await sendFile(target, size * MIB, { ...options, pauseBeforeLastMs: PAUSE_MS });
      aloneMs.push(alone.afterLastByteMs);
      streamedMs.push((await sendFile(target, size * MIB, options)).afterLastByteMs);
    }
  }
  return all;
}

/** How many times as long the largest size takes as the smallest, where the last byte is sent alone. */
export function growth(measured: Measured[], kind: Kind): number {
  const ofKind = measured.filter((each) => each.kind === kind);
  return median(ofKind.at(-1)?.aloneMs ?? []) / median(ofKind[0]?.aloneMs ?? []);
}

function report(title: string, measured: Measured[]): void {
  process.stdout.write(`### ${title}\n\n`);
  printTable(
    ['bytes', 'size', 'last byte sent alone: ms to 204', 'ratio to 1 MiB', 'sent at full speed: ms to 204'],
    measured.map(({ kind, size, aloneMs, streamedMs }) => {
      const base = measured.find((each) => each.kind === kind)?.aloneMs ?? [];
      const ratio = median(aloneMs) / median(base);
      return [kind, `${size} MiB`, median(aloneMs).toFixed(2), ratio.toFixed(2), median(streamedMs).toFixed(2)];
    }),
  );
  process.stdout.write('\n');
}
