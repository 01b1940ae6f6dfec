/** Checksums of single requests: a request that has one counts as a whole, or not at all. */
import { createHash } from 'node:crypto';
import { createCRC32, type IHasher } from 'hash-wasm';
import type { Verification } from '../../stores/store.ts';
import { TidemarkError } from './errors.ts';

/** The length of each algorithm's checksums, in bytes. */
export const CHECKSUM_BYTES = { md5: 16, sha1: 20, sha256: 32, sha512: 64, crc32c: 4 } as const;
export type ChecksumAlgorithm = keyof typeof CHECKSUM_BYTES;

export interface ExpectedChecksum {
  algorithm: ChecksumAlgorithm;
  /**
   * The checksum; a CRC's highest byte comes first. A function is called once the source has ended, for one that comes after
   * the bytes: it returns null where none of this algorithm came; what it throws is what the request fails with.
   */
  expected: Uint8Array | (() => Uint8Array | null);
}

/** Computes a checksum. */
interface Hash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

/** CRC-32C (Castagnoli), with its bits reversed. */
const CASTAGNOLI = 0x82f63b78;
/** One instance for all requests: each has memory of its own, of which a process can have about 12,950. */
let castagnoli: Promise<IHasher> | undefined;

/** Computes the checksum of a source as it is stored. */
export async function verify({ algorithm, expected }: ExpectedChecksum): Promise<Verification> {
  const hash = await createChecksum(algorithm);
  return {
    update: (chunk) => hash.update(chunk),
    verify: () => {
      const wanted = typeof expected === 'function' ? expected() : expected;
      if (wanted && Buffer.compare(hash.digest(), wanted) !== 0) throw new TidemarkError('checksum_mismatch');
    },
  };
}

/** Computes several checksums of a source: all of them have to be right. */
export async function verifyAll(checksums: readonly ExpectedChecksum[]): Promise<Verification | undefined> {
  const all = await Promise.all(checksums.map(verify));
  if (all.length <= 1) return all[0];
  return {
    update: (chunk) => {
      for (const one of all) one.update(chunk);
    },
    verify: () => {
      for (const one of all) one.verify();
    },
  };
}

async function createChecksum(algorithm: ChecksumAlgorithm): Promise<Hash> {
  if (algorithm === 'crc32c') return createCrc();
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
}

async function createCrc(): Promise<Hash> {
  const shared = await (castagnoli ??= createCRC32(CASTAGNOLI));
  let state = shared.init().save();
  return {
    update: (bytes) => {
      state = shared.load(state).update(bytes).save();
    },
    digest: () => shared.load(state).digest('binary'),
  };
}
