/** The digest pool of a simulation: the digests are real, and computed at once, in the same thread. */
import {
  type DigestAlgorithm,
  type DigestLane,
  type DigestPool,
  keptAsTheyAre,
  SnapshotError,
} from '../../stores/digests/digests.ts';
import {
  createHashing,
  type Digest,
  type DigestBytes,
  type DigestStart,
  HASHING_SCRATCH_BYTES,
} from '../../stores/digests/hashing.ts';
import { deriveProofKey } from '../../stores/digests/proof.ts';
import { loadHashers } from '../../stores/digests/shared-hashers.ts';

const PAGE_BYTES = 65_536;
const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
const room = new Uint8Array(memory.buffer, PAGE_BYTES);
const key = deriveProofKey('a simulation');
const keyAt = HASHING_SCRATCH_BYTES;
new Uint8Array(memory.buffer).set(key.words, keyAt);
const hashers = await loadHashers();
const hashing = createHashing(memory, 0, () => hashers, { proof: { ...key, keyAt } });

/** As `createDigestPool`, without threads. @param proves - whether digests have a proof, by the key of all simulations. */
export function createSimDigests(algorithms: readonly DigestAlgorithm[], proves = false): DigestPool {
  return {
    algorithms,
    open: (snapshot, others) =>
      openLane({ from: snapshot ?? others ?? algorithms, proves: proves && others === undefined }),
    close: async () => {},
  };
}

function openLane(start: DigestStart): DigestLane {
  const digest = begin(start);

  function usable(): Digest {
    if (digest instanceof SnapshotError) throw digest;
    return digest;
  }

  function add(chunks: readonly Uint8Array[], to: DigestBytes['to']): void {
    if (digest instanceof SnapshotError) return;
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += room.length) {
        const some = chunk.subarray(at, at + room.length);
        room.set(some);
        hashing.update([{ digest, at: PAGE_BYTES, length: some.length, to }]);
      }
    }
  }

  return {
    update: async (chunks) => add(chunks, 'all'),
    keep: async (chunks) => {
      add(chunks, 'all');
      return keptAsTheyAre(chunks);
    },
    beginPart: () => {
      if (!(digest instanceof SnapshotError)) hashing.beginPart(digest);
    },
    updatePart: async (chunks) => add(chunks, 'part'),
    partMd5: async () => hashing.partMd5(usable()),
    snapshot: async () => hashing.snapshot(usable()),
    digests: async () => hashing.digests(usable()),
    close: () => {
      if (!(digest instanceof SnapshotError)) hashing.forget(digest);
    },
  };
}

function begin(start: DigestStart): Digest | SnapshotError {
  try {
    return hashing.open(start);
  } catch (error) {
    if (error instanceof SnapshotError) return error;
    throw error;
  }
}
