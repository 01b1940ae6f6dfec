/** Digests of few bytes, computed on the thread that has them: a message to another one costs more than they do. */
import { type Digest, createHashing, type DigestStart, type Hashers, type Hashing, loadHashers } from './hashing.ts';
import type { DigestAlgorithm } from './digests.ts';
import { decodeSnapshot } from './snapshot.ts';

/** Most bytes of one lane that are hashed here: a tenth of a millisecond at 660 MiB/s (decision 0014). */
export const MOST_BYTES_HERE = 64 * 1024;

export interface Here {
  /** Undefined where this digest cannot be computed here. @throws SnapshotError. */
  open(start: DigestStart): Digest | undefined;
  /** At most `MOST_BYTES_HERE`. */
  update(digest: Digest, chunks: readonly Uint8Array[], to: 'all' | 'part'): void;
  readonly hashing: Omit<Hashing, 'open' | 'update'>;
}

/** @param algorithms - those that digests are begun with; others are left to the threads. */
export function createHere(algorithms: readonly DigestAlgorithm[]): Here {
  // A page (of 64 KiB) for the bytes, and one for the scratch behind them.
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  let hashers: Hashers | undefined;
  // Until they are loaded threads do it; and where they cannot be, always.
  if (algorithms.some((algorithm) => algorithm !== 'md5')) void load();
  const hashing = createHashing(memory, MOST_BYTES_HERE, () => hashers);

  async function load(): Promise<void> {
    hashers = await loadHashers().catch(() => undefined);
  }

  function isPossible(from: DigestStart['from']): boolean {
    const wanted = from instanceof Uint8Array ? [...decodeSnapshot(from).keys()] : from;
    // It moves to a thread by its snapshot, and there is none without an MD5.
    return wanted.includes('md5') && (hashers !== undefined || wanted.length === 1);
  }

  return {
    open: (start) => (isPossible(start.from) ? hashing.open(start) : undefined),
    update: (digest, chunks, to) => {
      let length = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, length);
        length += chunk.length;
      }
      hashing.update(digest, 0, length, to);
    },
    hashing,
  };
}
