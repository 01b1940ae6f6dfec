/** Measures what MD5 of one upload and of many at once costs: SIMD, without it, and in another build (BENCH_BEFORE). */
import { randomFillSync } from 'node:crypto';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { median, printTable } from './table.ts';

const LANES = [1, 2, 4, 8, 16, 64];
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** What the lanes of one measurement get, together. */
const TOTAL_BYTES = 256 * MIB;
/** Rounds that are not counted: V8 compiles a module better once it has run for a while. */
const WARM_UPS = 2;
/** A socket delivers at most so much at once. */
const CHUNK_BYTES = 64 * 1024;
/** An intake's batches: 4 MiB shared by all uploads, within bounds (`stores/intake.ts`). */
const BATCHES_BYTES = 4 * MIB;
const MOST_BATCH_BYTES = MIB;

interface Variant {
  name: string;
  pool: DigestPool;
}

interface Measured {
  /** CPU seconds of the whole process for each GiB, copying into shared memory included. */
  cpuSeconds: number;
  mibPerSecond: number;
  /** From the last byte to the digest of the upload that waited longest. */
  lastMs: number;
}

/** Runs the measurement. @param counts - of how many uploads at once. */
export async function benchDigests(_folder: string, counts: readonly number[]): Promise<void> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5);
  const variants = await openVariants();
  const source = randomFillSync(Buffer.alloc(8 * MIB));
  process.stdout.write(`load of the machine: ${loadavg()[0]?.toFixed(1)}\n\n`);
  try {
    const rows: string[][] = [];
    for (const lanes of counts.length > 0 ? counts : LANES) {
      const all = variants.map((): Measured[] => []);
      for (let round = -WARM_UPS; round < rounds; round++) {
        const order = [...variants.keys()];
        for (const index of round % 2 === 0 ? order : order.toReversed()) {
          const { pool } = variants[index] as Variant;
          const measured = await measure(pool, lanes, source);
          if (round >= 0) all[index]?.push(measured);
        }
      }
      variants.forEach(({ name }, index) => rows.push(describe(lanes, name, all[index] ?? [], all[0] ?? [])));
    }
    const ratio = `of that ${variants[0]?.name}`;
    printTable(['uploads', 'digest', 'CPU s/GiB (min-max)', ratio, 'MiB/s', 'last byte to digest, ms'], rows);
    process.stdout.write(`\nCopying alone: ${copyAlone(source).toFixed(2)} s/GiB\n`);
    process.stdout.write(`load of the machine: ${loadavg()[0]?.toFixed(1)}\n`);
  } finally {
    for (const { pool } of variants) await pool.close();
  }
}

async function openVariants(): Promise<Variant[]> {
  const before = process.env['BENCH_BEFORE'];
  const variants = [
    { name: 'without SIMD', pool: createDigestPool(['md5'], false) },
    { name: 'with SIMD', pool: createDigestPool(['md5'], true) },
  ];
  if (!before) return variants;
  const path = pathToFileURL(resolve(before, 'stores/digests/pool.js')).href;
  const build = (await import(path)) as { createDigestPool: typeof createDigestPool };
  return [{ name: 'before', pool: build.createDigestPool(['md5']) }, ...variants];
}

async function measure(pool: DigestPool, lanes: number, source: Buffer): Promise<Measured> {
  const batchBytes = Math.min(MOST_BATCH_BYTES, Math.max(CHUNK_BYTES, BATCHES_BYTES / lanes));
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const lastMs = await Promise.all(
    Array.from({ length: lanes }, async (_, index) => {
      const lane = pool.open(null);
      for (let sent = 0; sent < TOTAL_BYTES / lanes; sent += batchBytes) {
        const at = (sent + index * CHUNK_BYTES) % (source.length - batchBytes);
        await lane.update(cut(source.subarray(at, at + batchBytes)));
        // As sockets do: other uploads have their turn.
        await new Promise((done) => setImmediate(done));
      }
      const lastAt = performance.now();
      await lane.digests();
      lane.close();
      return performance.now() - lastAt;
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    cpuSeconds: (((user + system) / 1e6) * GIB) / TOTAL_BYTES,
    mibPerSecond: TOTAL_BYTES / MIB / seconds,
    lastMs: Math.max(...lastMs),
  };
}

function cut(batch: Buffer): Buffer[] {
  return Array.from({ length: batch.length / CHUNK_BYTES }, (_, index) =>
    batch.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
  );
}

/** The part of the cost that is no digest: bytes are copied into memory that the threads share. */
function copyAlone(source: Buffer): number {
  const target = new Uint8Array(new SharedArrayBuffer(source.length));
  const cpu = process.cpuUsage();
  for (let copied = 0; copied < GIB; copied += source.length) {
    for (const [index, chunk] of cut(source).entries()) target.set(chunk, index * CHUNK_BYTES);
  }
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / 1e6;
}

function describe(lanes: number, name: string, measured: Measured[], first: Measured[]): string[] {
  const costs = measured.map(({ cpuSeconds }) => cpuSeconds);
  const ratios = costs.map((cost, round) => cost / (first[round]?.cpuSeconds ?? NaN));
  return [
    String(lanes),
    name,
    `${median(costs).toFixed(2)} (${Math.min(...costs).toFixed(2)}-${Math.max(...costs).toFixed(2)})`,
    median(ratios).toFixed(2),
    median(measured.map(({ mibPerSecond }) => mibPerSecond)).toFixed(0),
    median(measured.map(({ lastMs }) => lastMs)).toFixed(1),
  ];
}
