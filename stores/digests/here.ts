/** Computes digests of few bytes on the main thread, where a message to another thread would cost more. */
import { type Digest, createHashing, type DigestStart, HASHING_SCRATCH_BYTES, type Hashing } from './hashing.ts';
import type { ProofKey } from './proof.ts';
import { type Hashers, loadHashers } from './shared-hashers.ts';
import type { DigestAlgorithm } from './digests.ts';
import { decodeSnapshot } from './snapshot.ts';

/** The most bytes of a digest with MD5 alone that are hashed here: a tenth of a millisecond at 660 MiB/s (decision 0014). */
const MOST_BYTES = 64 * 1024;
/** The cost of an algorithm relative to MD5, rounded down. Measured: 1.3 µs per KiB of MD5 and of SHA-1, 3.1 of SHA-256. */
const COSTS: Record<DigestAlgorithm, number> = { md5: 1, sha1: 1, sha256: 2 };

/** Digests on the main thread. */
export interface Here {
  /** Begins or resumes a digest; undefined where it cannot be computed here. @throws SnapshotError. */
  open(start: DigestStart): Digest | undefined;
  /** How many bytes of a digest are hashed here: as many as take a tenth of a millisecond with all of its algorithms. */
  mostBytes(digest: Digest): number;
  /** Adds bytes, `mostBytes` at most. */
  update(digest: Digest, chunks: readonly Uint8Array[], to: 'all' | 'part'): void;
  readonly hashing: Omit<Hashing, 'open' | 'update'>;
}

/**
 * Prepares digests on the main thread.
 *
 * @param algorithms - those of new digests; digests with others are left to the threads.
 * @param key - of proofs; null: none are computed.
 */
export function createHere(algorithms: readonly DigestAlgorithm[], key: ProofKey | null = null): Here {
  // A page (of 64 KiB) for the bytes, and one for the scratch behind them and the key of proofs.
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  let hashers: Hashers | undefined;
  // Until they are loaded, the threads compute such digests; where they cannot be loaded, always.
  if (algorithms.some((algorithm) => algorithm !== 'md5')) void load();
  const keyAt = MOST_BYTES + HASHING_SCRATCH_BYTES;
  if (key) bytes.set(key.words, keyAt);
  const proof = key && { id: key.id, chain: key.chain, keyAt };
  const hashing = createHashing(memory, MOST_BYTES, () => hashers, { proof });

  async function load(): Promise<void> {
    hashers = await loadHashers().catch(() => undefined);
  }

  function isPossible(from: DigestStart['from']): boolean {
    const kinds: readonly (DigestAlgorithm | 'proof')[] =
      from instanceof Uint8Array ? [...decodeSnapshot(from).keys()] : from;
    const wanted = kinds.filter((kind) => kind !== 'proof');
    // A digest moves to a thread by its snapshot, which needs an MD5.
    return wanted.includes('md5') && (hashers !== undefined || wanted.length === 1);
  }

  return {
    open: (start) => (isPossible(start.from) ? hashing.open(start) : undefined),
    mostBytes: (digest) => {
      const used: DigestAlgorithm[] = [...digest.saved.keys(), ...(digest.md5 ? ['md5' as const] : [])];
      return Math.floor(MOST_BYTES / used.reduce((sum, algorithm) => sum + COSTS[algorithm], 0));
    },
    update: (digest, chunks, to) => {
      let length = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, length);
        length += chunk.length;
      }
      hashing.update([{ digest, at: 0, length, to }]);
    },
    hashing,
  };
}
