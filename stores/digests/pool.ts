/** The digest pool: the main thread hashes few bytes itself, worker threads hash more. */
import { bytesIn } from '../chunks.ts';
import { createBlocks } from './blocks.ts';
import {
  type DigestAlgorithm,
  type DigestLane,
  type DigestPool,
  keptAsTheyAre,
  type KeptBytes,
  SnapshotError,
} from './digests.ts';
import type { Digest, DigestStart } from './hashing.ts';
import { createHere, type Here } from './here.ts';
import { isSimdThere } from './md5-lanes-module.ts';
import { deriveProofKey } from './proof.ts';
import { openThreadLane } from './thread-lane.ts';
import { createThreads } from './threads.ts';

/** With SIMD, a thread hashes those of so many lanes faster than the main thread receives bytes. */
const LANES_PER_THREAD = 8;

/**
 * Starts a pool.
 *
 * @param algorithms - what new digests compute; MD5 is added if missing.
 * @param simd - whether SIMD may be used; where WebAssembly has it, by default. Without it there are no proofs.
 * @param secret - of proofs; null: none are computed.
 */
export function createDigestPool(
  algorithms: readonly DigestAlgorithm[],
  simd = isSimdThere(),
  secret: string | null = null,
): DigestPool {
  const defaults: readonly DigestAlgorithm[] = algorithms.includes('md5') ? algorithms : ['md5', ...algorithms];
  const blocks = createBlocks();
  // The other algorithms are not computed side by side.
  const lanesPerThread = defaults.length > 1 ? 1 : simd ? LANES_PER_THREAD : 2;
  const key = simd && secret !== null ? deriveProofKey(secret) : null;
  if (key) new Uint8Array(blocks.memory.buffer).set(key.words, blocks.keyAt);
  const proof = key && { id: key.id, chain: key.chain, keyAt: blocks.keyAt };
  const threads = createThreads(blocks, { simd, proof, lanesPerThread });
  const here = createHere(defaults, key);
  const toThread = (start: DigestStart): DigestLane => openThreadLane(threads.pick(), blocks, start);
  let isClosed = false;

  function open(snapshot: Uint8Array | null, wanted?: readonly DigestAlgorithm[]): DigestLane {
    if (isClosed) throw new Error('the digest pool is closed');
    const start = { from: snapshot ?? wanted ?? defaults, proves: wanted === undefined };
    try {
      const digest = here.open(start);
      return digest ? openMovingLane(here, digest, toThread) : toThread(start);
    } catch (error) {
      if (error instanceof SnapshotError) return openBrokenLane(error);
      throw error;
    }
  }

  return {
    algorithms: defaults,
    open,
    close: async () => {
      isClosed = true;
      await threads.close();
    },
  };
}

/** A lane that begins on the main thread, and moves to a worker thread once it has more than `mostBytes`. */
function openMovingLane(here: Here, begun: Digest, toThread: (start: DigestStart) => DigestLane): DigestLane {
  const { hashing } = here;
  /** The digest until it has moved. */
  let digest: Digest | undefined = begun;
  let moved: DigestLane | undefined;
  const mostBytes = here.mostBytes(begun);
  let taken = 0;

  /** Moves to a thread. Where that fails, every later call of the lane throws the error. */
  function move(from: Digest): void {
    digest = undefined;
    try {
      moved = toThread({ from: hashing.snapshot(from), part: hashing.savePart(from) });
    } catch (error) {
      moved = openFailedLane(error);
    } finally {
      hashing.forget(from);
    }
  }

  /** Adds the chunks here; where they are too many, moves. @returns whether they were added. */
  function updateHere(chunks: readonly Uint8Array[], to: 'all' | 'part'): boolean {
    if (!digest) return false;
    taken += bytesIn(chunks);
    if (taken <= mostBytes) here.update(digest, chunks, to);
    else move(digest);
    return digest !== undefined;
  }

  async function update(chunks: readonly Uint8Array[], to: 'all' | 'part'): Promise<void> {
    if (updateHere(chunks, to)) return;
    await (to === 'all' ? moved?.update(chunks) : moved?.updatePart(chunks));
  }

  async function keep(chunks: readonly Uint8Array[]): Promise<KeptBytes> {
    return updateHere(chunks, 'all') || !moved ? keptAsTheyAre(chunks) : moved.keep(chunks);
  }

  /** Calls `own` with the digest until it has moved, then `elsewhere` with the thread's lane. */
  async function answer<T>(own: (digest: Digest) => T, elsewhere: (lane: DigestLane) => Promise<T>): Promise<T> {
    if (digest) return own(digest);
    if (!moved) throw new Error('the lane is closed');
    return elsewhere(moved);
  }

  return {
    update: (chunks) => update(chunks, 'all'),
    keep,
    beginPart: () => {
      if (digest) hashing.beginPart(digest);
      else moved?.beginPart();
    },
    updatePart: (chunks) => update(chunks, 'part'),
    partMd5: () => answer(hashing.partMd5, (lane) => lane.partMd5()),
    snapshot: () => answer(hashing.snapshot, (lane) => lane.snapshot()),
    digests: () => answer(hashing.digests, (lane) => lane.digests()),
    close: () => {
      if (digest) hashing.forget(digest);
      digest = undefined;
      moved?.close();
    },
  };
}

/** A lane that throws an error from every call, as that of a dead thread does. */
function openFailedLane(cause: unknown): DigestLane {
  const refuse = async (): Promise<never> => {
    throw cause;
  };
  return {
    update: refuse,
    keep: refuse,
    beginPart: () => {
      throw cause;
    },
    updatePart: refuse,
    partMd5: refuse,
    snapshot: refuse,
    digests: refuse,
    close: () => undefined,
  };
}

/** A lane whose snapshot cannot be resumed: it accepts bytes, and throws when asked for a result. */
function openBrokenLane(reason: SnapshotError): DigestLane {
  const refuse = (): Promise<never> => Promise.reject(reason);
  return {
    update: () => Promise.resolve(),
    keep: async (chunks) => keptAsTheyAre(chunks),
    beginPart: () => undefined,
    updatePart: () => Promise.resolve(),
    partMd5: refuse,
    snapshot: refuse,
    digests: refuse,
    close: () => undefined,
  };
}
